// `npm run demo`: a photograph becomes a .liif file and comes back larger, then a viewer shows all samples.
// Options: --no-serve ends after the figures; --port N.
import { mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { decodeFile, encode, encodeFile, isLiifError, open, psnr, readImage, VERSION } from 'liif';
import { serve } from 'liif/server';
import sharp from 'sharp';

const { values: options } = parseArgs({
  options: { 'no-serve': { type: 'boolean' }, port: { type: 'string', default: '8080' } },
});
const sample = (path) => fileURLToPath(new URL(path, import.meta.url));
const photograph = sample('originals/strawberries.jpg');

const timed = async (work) => {
  const start = performance.now();
  const result = await work();
  return [result, `${Math.round(performance.now() - start)} ms`];
};
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
const line = (what, text) => console.log(`  ${what.padEnd(14)}${text}`);

console.log(`\nliif ${VERSION}: a photograph becomes a .liif file and comes back at any size\n`);
const folder = await mkdtemp(join(tmpdir(), 'liif-demo-'));
const file = join(folder, 'strawberries.liif');
const enlarged = join(folder, 'strawberries-4x.png');

const { raster } = await readImage(photograph);
line(
  'photograph',
  `${raster.width} x ${raster.height} pixels, a JPEG of ${kilobytes((await stat(photograph)).size)}`,
);

// The first call of all starts the engine; it does not count.
await (await open(await encode(raster, { quality: 30 }))).render();
const [{ bytes, bitsPerPixel }, encodeTime] = await timed(() => encodeFile(raster, file));
line('encoded', `${kilobytes(bytes)}, ${bitsPerPixel.toFixed(2)} bits per pixel, in ${encodeTime}`);

const image = await open(file);
const [native, nativeTime] = await timed(() => image.render());
await image.close();
line('decoded', `PSNR ${psnr(raster, native).toFixed(2)} dB, in ${nativeTime}`);
line('', `(the best mozjpeg of that size: ${(await jpegPsnr(raster, bytes)).toFixed(2)} dB)`);

const [large, largeTime] = await timed(() => decodeFile(file, enlarged, { scale: 4 }));
line('enlarged 4x', `${large.width} x ${large.height} pixels, in ${largeTime}, PNG included`);

console.log(`\nThe files:\n  ${file}\n  ${enlarged}`);

if (!options['no-serve']) {
  const { url, stop } = await start();
  console.log(`
With pictures of your own, after npm link:
  liif encode photo.jpg                          makes photo.liif
  liif decode photo.liif -o large.png --scale 8  makes it eight times as large
  liif serve .                                   zooms into every picture of this folder
  liif help
Without npm link, liif is node "${sample('../dist/cli/liif.js')}"

Zoom without end: ${url}
Open this address in a browser, choose a picture, and scroll in as far as you like. Ctrl-C ends the demo.
`);
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

/** PSNR of the best JPEG that has at most `mostBytes`. */
async function jpegPsnr(original, mostBytes) {
  const { data, width, height, channels } = original;
  const picture = sharp(data, { raw: { width, height, channels } });
  let best;
  for (let low = 1, high = 100; low <= high; ) {
    const quality = (low + high) >> 1;
    const jpeg = await picture.jpeg({ quality, mozjpeg: true }).toBuffer();
    if (jpeg.length > mostBytes) high = quality - 1;
    else {
      best = jpeg;
      low = quality + 1;
    }
  }
  return psnr(original, (await readImage(best)).raster);
}

/** On any free port where the usual one is taken. */
async function start() {
  const settings = { roots: [sample('encoded'), sample('originals')], logLevel: 'warn' };
  try {
    return await serve({ ...settings, port: Number(options.port) });
  } catch (error) {
    if (!isLiifError(error, 'SourceError')) throw error;
    return serve({ ...settings, port: 0 });
  }
}
