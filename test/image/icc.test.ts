import { expect, it } from 'vitest';
import { profiledColors } from '../../src/image/icc.ts';
import { ADOBE_GAMMA, ADOBE_RGB, builtInProfile, DISPLAY_P3, matrixProfile } from './icc-profile.ts';

const SRGB = [
  [0.4361, 0.2225, 0.0139],
  [0.3851, 0.7169, 0.0971],
  [0.1431, 0.0606, 0.7141],
] as const;
/** Of a screen that shows less. */
const APPLE_RGB = [
  [0.4755, 0.2552, 0.0184],
  [0.3397, 0.6726, 0.1134],
  [0.149, 0.0723, 0.6932],
] as const;
/** Of a screen that was measured: a little beyond sRGB. */
const MEASURED = [
  [0.4405, 0.2259, 0.0143],
  [0.3801, 0.7129, 0.0911],
  [0.1437, 0.0612, 0.7197],
] as const;

it('knows the profiles of sRGB and Display P3 that libvips embeds', async () => {
  expect(profiledColors(await builtInProfile('srgb'))).toEqual({ wide: false, colorSpace: 'srgb' });
  expect(profiledColors(await builtInProfile('p3'))).toEqual({ wide: true, colorSpace: 'display-p3' });
});

it('tells other primaries and other curves apart, and which go beyond sRGB', () => {
  expect(profiledColors(matrixProfile(ADOBE_RGB, ADOBE_GAMMA))).toEqual({ wide: true });
  expect(profiledColors(matrixProfile(DISPLAY_P3, 2.2))).toEqual({ wide: true });
  expect(profiledColors(matrixProfile(SRGB, 2.2))).toEqual({ wide: false });
  expect(profiledColors(matrixProfile(APPLE_RGB, 1.8))).toEqual({ wide: false });
  expect(profiledColors(matrixProfile(MEASURED, 2.2))).toEqual({ wide: false });
});

it('says nothing of bytes that are no profile, however they end', async () => {
  const profile = await builtInProfile('p3');
  for (let length = 0; length < profile.length; length += 7)
    expect(typeof profiledColors(profile.subarray(0, length)).wide).toBe('boolean');
  expect(profiledColors(new Uint8Array(300))).toEqual({ wide: false });
  expect(profiledColors(profile.subarray(0, 200))).toEqual({ wide: false });
});
