// The main job: a photograph becomes a .liif file and comes back larger. `npm run demo`
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode, open, psnr, readImage, writeImage } from 'liif';

const photograph = new URL('./originals/fiat.jpg', import.meta.url);
const folder = await mkdtemp(join(tmpdir(), 'liif-demo-'));
const file = join(folder, 'fiat.liif');
const enlarged = join(folder, 'fiat-4x.png');

const timed = async (work) => {
  const start = performance.now();
  const result = await work();
  return [result, `${Math.round(performance.now() - start)} ms`];
};
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

const { raster } = await readImage(await readFile(photograph));
const { width, height } = raster;
console.log(`photograph   ${width} x ${height} pixels, ${kilobytes(raster.data.length)} raw`);

await encode(raster, { quality: 30 }); // the first call also starts the engine
const [bytes, encodeTime] = await timed(() => encode(raster, { quality: 60 }));
await writeFile(file, bytes);
const bpp = ((8 * bytes.length) / (width * height)).toFixed(2);
console.log(`encoded      ${kilobytes(bytes.length)} (${bpp} bits per pixel) in ${encodeTime}   ${file}`);

const image = await open(file);
const [native, nativeTime] = await timed(() => image.render());
console.log(`decoded      ${width} x ${height} in ${nativeTime}, PSNR ${psnr(raster, native).toFixed(2)} dB`);

const [large, largeTime] = await timed(() => image.render({ scale: 4 }));
await writeImage(large, enlarged);
console.log(`enlarged 4x  ${large.width} x ${large.height} in ${largeTime}   ${enlarged}`);
await image.close();
