import { expect, it } from 'vitest';
import { isPremultiplied } from '../../../src/image/metadata/heif.ts';
import { readImage } from '../../../src/image/read.ts';

/**
 * 16 x 16 pixels of 200, 120, 40; of the right half half is to be seen. Made by `avifenc --lossless --premultiply`,
 * version 0.11.1.
 */
const avif = Buffer.from(
  'AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAAGbbWV0YQAAAAAAAAAoaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAGxpYmF2aWYAAAAADnBpdG0AAAAAAAEAAAAsaWxvYwAAAABEAAACAAEAAAABAAAB2AAAAB8AAgAAAAEAAAHDAAAAFQAAAEJpaW5mAAAAAAACAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xvcgAAAAAaaW5mZQIAAAAAAgAAYXYwMUFscGhhAAAAAChpcmVmAAAAAAAAAA5wcmVtAAEAAQACAAAADmF1eGwAAgABAAEAAADDaXBycAAAAJ1pcGNvAAAAFGlzcGUAAAAAAAAAEAAAABAAAAAQcGl4aQAAAAADCAgIAAAADGF2MUOBIAAAAAAAE2NvbHJuY2x4AAEADQAAgAAAAA5waXhpAAAAAAEIAAAADGF2MUOBABwAAAAAOGF1eEMAAAAAdXJuOm1wZWc6bXBlZ0I6Y2ljcDpzeXN0ZW1zOmF1eGlsaWFyeTphbHBoYQAAAAAeaXBtYQAAAAAAAAACAAEEAQKDBAACBAEFhgcAAAA8bWRhdBIACgUYDP/YVDIKRAAAjKqoVSumgBIACgg4DP/YQENACDIRRAAAhse/iPXqLJE1IDtwYoA=',
  'base64',
);

it('colors of an AVIF that are multiplied by alpha are divided by it', async () => {
  const { raster } = await readImage(avif);
  expect([...raster.data.slice(0, 4)]).toEqual([200, 120, 40, 255]);
  const [r, g, b, alpha] = raster.data.slice(-4);
  expect(alpha).toBe(128);
  // A step of 8 bits is two of them there.
  for (const [found, wanted] of [
    [r, 200],
    [g, 120],
    [b, 40],
  ] as const)
    expect(Math.abs(found! - wanted)).toBeLessThanOrEqual(1);
});

it('colors of other AVIFs stay', async () => {
  const plain = Buffer.from(avif);
  plain.write('prex', plain.indexOf('prem'), 'latin1');
  expect([...(await readImage(plain)).raster.data.slice(-4)]).toEqual([100, 60, 20, 128]);
});

it('the reference is looked for in bytes that end or are damaged anywhere', async () => {
  for (let length = 0; length < avif.length; length++) await isPremultiplied(avif.subarray(0, length));
  for (let at = 0; at < avif.length; at++) {
    const damaged = Buffer.from(avif);
    damaged[at]! ^= 0x80;
    await isPremultiplied(damaged);
  }
  expect(await isPremultiplied(avif)).toBe(true);
});
