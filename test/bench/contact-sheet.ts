/**
 * Contact sheets: crops of the samples from .liif files beside AVIF files of the same size, and details
 * enlarged eight times.
 *
 *     npm run contact-sheet -- [-o samples/contact-sheet] [--engine NAME]
 *
 * Writes native.webp and zoom.webp. AVIF: effort 4, 4:4:4. AVIF is enlarged with libvips' bicubic
 * interpolator, as by a viewer.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { openCommandEngine } from '../../src/cli/engine.ts';
import { openImage } from '../../src/decode.ts';
import { encodeImage } from '../../src/encode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { cropped, type Raster } from '../../src/image/raster.ts';
import { psnr } from '../../src/metrics/psnr.ts';
import { readRgb } from './read-rgb.ts';

const QUALITIES = [20, 50, 90];
const ZOOM_QUALITY = 50;
const ZOOM = 8;
/** Side of a cell of the sheets, and the pixels of the picture that one shows enlarged. */
const CELL = 224;
const DETAIL = CELL / ZOOM;
const GAP = 6;
const CAPTION = 20;

/** Samples, with the corners of the native crop and of the enlarged detail. */
const SUBJECTS = [
  { name: 'photograph', file: 'fiat.jpg', crop: [240, 150], detail: [370, 190] },
  { name: 'text', file: 'heart.jpg', crop: [14, 235], detail: [24, 258] },
  { name: 'map', file: 'plan.jpg', crop: [80, 288], detail: [162, 408] },
  { name: 'face', file: 'portrait.jpg', crop: [110, 90], detail: [132, 148] },
  { name: 'foliage', file: 'tea.jpg', crop: [190, 150], detail: [300, 260] },
] as const;

/** A cell of a sheet: CELL x CELL pixels, with a caption below. */
interface Cell {
  readonly pixels: Buffer;
  readonly caption: string;
}

const { values: options } = parseArgs({
  options: {
    output: {
      type: 'string',
      short: 'o',
      default: fileURLToPath(new URL('../../samples/contact-sheet', import.meta.url)),
    },
    engine: { type: 'string', default: 'wasm' },
  },
});
const engine = await openCommandEngine({ engine: options.engine as 'auto' });
try {
  const native: Cell[][] = [];
  const zoom: Cell[][] = [];
  for (const subject of SUBJECTS) {
    const rows = await cellsOf(engine, subject);
    native.push(rows.native);
    zoom.push(rows.zoom);
    process.stderr.write(`${subject.name}\n`);
  }
  await mkdir(options.output, { recursive: true });
  for (const [name, rows] of [
    ['native', native],
    ['zoom', zoom],
  ] as const) {
    const path = join(options.output, `${name}.webp`);
    await writeFile(path, await sheet(rows));
    process.stdout.write(`${path}\n`);
  }
} finally {
  await engine.close();
}

async function cellsOf(
  using: Engine,
  { name, file, crop, detail }: (typeof SUBJECTS)[number],
): Promise<{ native: Cell[]; zoom: Cell[] }> {
  const original = await readRgb(fileURLToPath(new URL(`../../samples/originals/${file}`, import.meta.url)));
  const native: Cell[] = [{ pixels: cut(original, crop), caption: name }];
  const zoom: Cell[] = [
    { pixels: await enlarged(original, detail, 'nearest'), caption: `${name}, pixels x ${ZOOM}` },
  ];
  for (const quality of QUALITIES) {
    const bytes = await encodeImage(using, original, { quality });
    const image = await openImage(bytes, { engine: using });
    const decoded = await image.render();
    const peer = await avifOfSize(original, bytes.length);
    native.push(
      { pixels: cut(decoded, crop), caption: captionOf(`liif q${quality}`, bytes.length, original, decoded) },
      { pixels: cut(peer.decoded, crop), caption: captionOf('AVIF', peer.bytes, original, peer.decoded) },
    );
    if (quality === ZOOM_QUALITY || quality === QUALITIES.at(-1)) {
      const [x, y] = detail;
      const region = { x, y, width: DETAIL, height: DETAIL };
      const large = await image.render({ region, width: CELL, height: CELL });
      zoom.push(
        { pixels: Buffer.from(large.data), caption: `liif q${quality}` },
        { pixels: await enlarged(decoded, detail, 'cubic'), caption: 'the same, bicubic' },
        { pixels: await enlarged(peer.decoded, detail, 'cubic'), caption: 'AVIF, bicubic' },
      );
    }
    await image.close();
  }
  return { native, zoom };
}

/** The AVIF of the highest quality of at most `bytes`. */
async function avifOfSize(original: Raster, bytes: number): Promise<{ bytes: number; decoded: Raster }> {
  const { width, height, data } = original;
  let low = 1;
  let high = 100;
  let best: Buffer | undefined;
  while (low <= high) {
    const quality = (low + high) >> 1;
    const file = await sharp(data, { raw: { width, height, channels: 3 } })
      .avif({ quality, effort: 4, chromaSubsampling: '4:4:4' })
      .toBuffer();
    if (file.length <= bytes) {
      best = file;
      low = quality + 1;
    } else high = quality - 1;
  }
  if (best === undefined) throw new Error(`no AVIF of at most ${bytes} bytes`);
  const decoded = await sharp(best).removeAlpha().toColorspace('srgb').raw().toBuffer();
  return { bytes: best.length, decoded: { width, height, channels: 3, data: new Uint8Array(decoded) } };
}

function captionOf(what: string, bytes: number, original: Raster, decoded: Raster): string {
  return `${what}: ${(bytes / 1000).toFixed(1)} kB, ${psnr(original, decoded).toFixed(1)} dB`;
}

function cut(raster: Raster, [left, top]: readonly [number, number], side = CELL): Buffer {
  return Buffer.from(cropped(raster, { left, top, width: side, height: side }).data);
}

/**
 * The detail at ZOOM times its size, resampled with a margin, so that its edges look as in the whole picture.
 */
function enlarged(
  raster: Raster,
  [left, top]: readonly [number, number],
  kernel: 'nearest' | 'cubic',
): Promise<Buffer> {
  const margin = 4;
  const side = DETAIL + 2 * margin;
  return sharp(cut(raster, [left - margin, top - margin], side), {
    raw: { width: side, height: side, channels: 3 },
  })
    .resize(side * ZOOM, side * ZOOM, { kernel })
    .extract({ left: margin * ZOOM, top: margin * ZOOM, width: CELL, height: CELL })
    .raw()
    .toBuffer();
}

function sheet(rows: readonly (readonly Cell[])[]): Promise<Buffer> {
  const columns = rows[0]!.length;
  const width = columns * (CELL + GAP) + GAP;
  const height = rows.length * (CELL + CAPTION + GAP) + GAP;
  const left = (column: number) => GAP + column * (CELL + GAP);
  const top = (row: number) => GAP + row * (CELL + CAPTION + GAP);
  const captions = rows.flatMap((cells, row) =>
    cells.map(
      ({ caption }, column) => `<text x="${left(column)}" y="${top(row) + CELL + 15}">${caption}</text>`,
    ),
  );
  const text = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="DejaVu Sans, sans-serif" font-size="12" fill="#333">${captions.join('')}</svg>`;
  return sharp({ create: { width, height, channels: 3, background: '#ffffff' } })
    .composite([
      ...rows.flatMap((cells, row) =>
        cells.map(({ pixels }, column) => ({
          input: pixels,
          raw: { width: CELL, height: CELL, channels: 3 as const },
          left: left(column),
          top: top(row),
        })),
      ),
      { input: Buffer.from(text), left: 0, top: 0 },
    ])
    .webp({ quality: 94, effort: 6, smartSubsample: true })
    .toBuffer();
}
