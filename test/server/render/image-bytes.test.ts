import sharp from 'sharp';
import { expect, it } from 'vitest';
import type { Raster } from '../../../src/image/raster.ts';
import type { Look } from '../../../src/server/protocols/rendering.ts';
import { imageBytes } from '../../../src/server/render/image-bytes.ts';

const quality = { jpegQuality: 100, webpQuality: 80, avifQuality: 50 };
const png: Look = { mirror: false, rotation: 0, color: 'default', format: 'png' };
const jpg: Look = { ...png, format: 'jpg' };

/** The samples of all pixels, as images have them. */
function plain(width: number, height: number, ...pixel: readonly number[]): Raster {
  const data = Uint8Array.from({ length: width * height * pixel.length }, (_, i) => pixel[i % pixel.length]!);
  return { width, height, channels: pixel.length as Raster['channels'], data };
}

/** Pixels of the image that is made, as `[...samples]`; those of a JPEG rounded to fives. */
async function pixels(raster: Raster, look: Look): Promise<number[][]> {
  const image = sharp(await imageBytes(raster, look, quality));
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  const near = (sample: number) => (look.format === 'jpg' ? 5 * Math.round(sample / 5) : sample);
  return Array.from({ length: info.width * info.height }, (_, i) =>
    Array.from(data.subarray(i * info.channels, (i + 1) * info.channels), near),
  );
}

it('alpha stays where the format has it, and is laid on white where not', async () => {
  expect(await pixels(plain(1, 1, 200, 100, 0, 128), png)).toEqual([[200, 100, 0, 128]]);
  expect(await pixels(plain(1, 1, 200, 100, 0, 0), jpg)).toEqual([[255, 255, 255]]);
});

it('what a turned picture leaves free is clear, and white where nothing is', async () => {
  const red = plain(8, 8, 250, 0, 0);
  const [clear] = await pixels(red, { ...png, rotation: 45 });
  expect(clear!.at(-1)).toBe(0);
  const [white] = await pixels(red, { ...jpg, rotation: 45 });
  expect(white).toEqual([255, 255, 255]);
});

it('a frame is filled to its right and below, each alone too', async () => {
  for (const [width, height] of [
    [2, 1],
    [1, 2],
    [2, 2],
  ] as const) {
    const frame = { width, height };
    const dark = plain(1, 1, 40, 40, 40);
    const clear = Array(width * height - 1).fill([0, 0, 0, 0]);
    expect(await pixels(dark, { ...png, frame })).toEqual([[40, 40, 40, 255], ...clear]);
    const opaque = await pixels(dark, { ...jpg, frame });
    // JPEG smears colors.
    expect(opaque.map(([sample]) => sample! > 128)).toEqual([false, ...clear.map(() => true)]);
  }
});

it('a mirror changes left and right, also before a quarter turn', async () => {
  const corners: Raster = { ...plain(2, 2, 0), data: Uint8Array.of(10, 20, 30, 40) };
  const gray = async (look: Partial<Look>) => (await pixels(corners, { ...png, ...look })).map(([g]) => g);
  expect(await gray({ mirror: true })).toEqual([20, 10, 40, 30]);
  expect(await gray({ mirror: true, rotation: 90 })).toEqual([40, 20, 30, 10]);
});

it('bitonal images are white from the middle gray on', async () => {
  const grays = [0, 127, 128, 255];
  const raster: Raster = { width: 4, height: 1, channels: 1, data: Uint8Array.from(grays) };
  const bitonal = await pixels(raster, { ...png, color: 'bitonal' });
  expect(bitonal.map(([sample]) => sample)).toEqual([0, 0, 255, 255]);
});

it('JPEGs of quality 90 and more keep the colors of all pixels', async () => {
  const sampling = async (jpegQuality: number) => {
    const bytes = await imageBytes(plain(16, 16, 1, 2, 3), jpg, { ...quality, jpegQuality });
    return (await sharp(bytes).metadata()).chromaSubsampling;
  };
  expect([await sampling(89), await sampling(90)]).toEqual(['4:2:0', '4:4:4']);
});
