/**
 * The README's picture: a sample, its .liif, and a detail enlarged by plain bicubic resampling and by the
 * network. Part of `npm run samples`.
 */
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import sharp, { type OverlayOptions } from 'sharp';
import { open, type Raster, readImage } from '../src/node.ts';

const NAME = 'strawberries';
const ZOOM = 8;
const SIDE = 400;
const GAP = 12;
const CAPTION = 34;
const DETAIL = { x: 137, y: 172, width: SIDE / ZOOM, height: SIDE / ZOOM };

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const kilobytes = async (name: string) => `${((await stat(path(name))).size / 1000).toFixed(1)} kB`;

const pngOf = ({ data, width, height, channels }: Raster) =>
  sharp(data, { raw: { width, height, channels } }).png().toBuffer();
const fitted = (png: Buffer | string, kernel: 'lanczos3' | 'cubic' = 'lanczos3') =>
  sharp(png).resize(SIDE, SIDE, { kernel }).png().toBuffer();
const caption = (text: string) =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${SIDE}" height="${CAPTION}"><text x="${SIDE / 2}" y="23" text-anchor="middle" font-family="sans-serif" font-size="17" fill="#222">${text}</text></svg>`,
  );

const original = `originals/${NAME}.jpg`;
const encoded = `encoded/${NAME}.liif`;
const image = await open(path(encoded));
const native = await pngOf(await image.render());
const detail = await pngOf(await image.render({ region: DETAIL, scale: ZOOM }));
await image.close();
const cut = await sharp(native)
  .extract({ left: DETAIL.x, top: DETAIL.y, width: DETAIL.width, height: DETAIL.height })
  .png()
  .toBuffer();
const { raster } = await readImage(path(original));

const panels: [string, Buffer][] = [
  [`photograph, ${await kilobytes(original)}`, await fitted(await pngOf(raster))],
  [`.liif, ${await kilobytes(encoded)}`, await fitted(native)],
  [`detail of it, ${ZOOM}x, bicubic`, await fitted(cut, 'cubic')],
  [`the same, ${ZOOM}x, by liif`, detail],
];
const layers = panels.flatMap(([text, png], i): OverlayOptions[] => [
  { input: png, left: i * (SIDE + GAP), top: 0 },
  { input: caption(text), left: i * (SIDE + GAP), top: SIDE },
]);
await sharp({
  create: {
    width: panels.length * (SIDE + GAP) - GAP,
    height: SIDE + CAPTION,
    channels: 3,
    background: '#fff',
  },
})
  .composite(layers)
  .jpeg({ quality: 92, chromaSubsampling: '4:4:4' })
  .toFile(path('figure.jpg'));
