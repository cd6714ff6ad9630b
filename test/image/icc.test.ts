import sharp from 'sharp';
import { expect, it } from 'vitest';
import { isSrgbProfile } from '../../src/image/icc.ts';
import { ADOBE_GAMMA, ADOBE_RGB, DISPLAY_P3, matrixProfile } from './icc-profile.ts';

async function builtIn(name: string): Promise<Uint8Array> {
  const pixel = { create: { width: 1, height: 1, channels: 3, background: '#000' } } as const;
  return (await sharp(await sharp(pixel).withIccProfile(name).png().toBuffer()).metadata()).icc!;
}

const SRGB = [
  [0.4361, 0.2225, 0.0139],
  [0.3851, 0.7169, 0.0971],
  [0.1431, 0.0606, 0.7141],
] as const;

it('knows the sRGB profile that libvips embeds', async () => {
  expect(isSrgbProfile(await builtIn('srgb'))).toBe(true);
});

it('tells other primaries and other curves apart', async () => {
  expect(isSrgbProfile(await builtIn('p3'))).toBe(false);
  expect(isSrgbProfile(matrixProfile(ADOBE_RGB, ADOBE_GAMMA))).toBe(false);
  expect(isSrgbProfile(matrixProfile(DISPLAY_P3, 2.2))).toBe(false);
  expect(isSrgbProfile(matrixProfile(SRGB, 2.2))).toBe(false);
});

it('says no to bytes that are no profile, however they end', async () => {
  const profile = await builtIn('srgb');
  for (let length = 0; length < profile.length; length += 7)
    expect(typeof isSrgbProfile(profile.subarray(0, length))).toBe('boolean');
  expect(isSrgbProfile(new Uint8Array(300))).toBe(false);
  expect(isSrgbProfile(profile.subarray(0, 200))).toBe(false);
});
