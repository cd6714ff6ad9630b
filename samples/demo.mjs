// The main job: a photograph becomes a .liif file and comes back larger; then a viewer for all samples. `npm run demo`
// Options: --no-serve ends after the figures, --port N.
import { mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { decodeFile, encode, encodeFile, open, psnr, readImage, VERSION } from 'liif';
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
const { width, height } = raster;
line(
  'photograph',
  `${width} x ${height} pixels, ${kilobytes(raster.data.length)} of samples, ${kilobytes((await stat(photograph)).size)} as it came`,
);

// The first call of all starts the engine; it does not count.
await (await open(await encode(raster, { quality: 30 }))).render();
const [{ bytes, bitsPerPixel }, encodeTime] = await timed(() => encodeFile(raster, file));
line('encoded', `${kilobytes(bytes)}, ${bitsPerPixel.toFixed(2)} bits per pixel, in ${encodeTime}`);

const image = await open(file);
const [native, nativeTime] = await timed(() => image.render());
await image.close();
line('decoded', `PSNR ${psnr(raster, native).toFixed(2)} dB, in ${nativeTime}`);
line('', `(a JPEG of that size: ${(await jpegPsnr(raster, bytes)).toFixed(2)} dB)`);

const [large, largeTime] = await timed(() => decodeFile(file, enlarged, { scale: 4 }));
line('enlarged 4x', `${large.width} x ${large.height} pixels, in ${largeTime} with writing the PNG`);
line('files', folder);

if (!options['no-serve']) {
  const { url, stop } = await start();
  // npx finds it in the clone alone.
  const program = `node "${sample('../dist/cli/liif.js')}"`;
  console.log(`
Infinite zoom     ${url}
  Open it in a browser, choose a picture, and scroll in as far as you like. Ctrl-C stops.

Next, with pictures of your own:
  ${program} encode photo.jpg      makes photo.liif
  ${program} decode photo.liif -o large.png --scale 8
  ${program} serve .               zoom into everything in this folder
  ${program} --help
After npm link in the clone it is called liif.
`);
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

/** The best JPEG that is no larger. */
async function jpegPsnr({ data, width, height, channels }, most) {
  const picture = sharp(data, { raw: { width, height, channels } });
  let best;
  for (let low = 1, high = 100; low <= high; ) {
    const quality = (low + high) >> 1;
    const jpeg = await picture.jpeg({ quality, mozjpeg: true }).toBuffer();
    if (jpeg.length <= most) best = jpeg;
    if (jpeg.length <= most) low = quality + 1;
    else high = quality - 1;
  }
  return psnr(raster, (await readImage(best)).raster);
}

/** On any free port where the usual one is taken. */
async function start() {
  const settings = { roots: [sample('encoded'), sample('originals')], logLevel: 'warn' };
  try {
    return await serve({ ...settings, port: Number(options.port) });
  } catch (error) {
    if (error._tag !== 'SourceError') throw error;
    return serve({ ...settings, port: 0 });
  }
}
