import { expect, it } from 'vitest';
import { profiledColors, shaperOf } from '../../../src/image/color/icc.ts';
import {
  ADOBE_GAMMA,
  ADOBE_RGB,
  builtInProfile,
  DISPLAY_P3,
  formulaCurve,
  gammaCurve,
  grayProfile,
  matrixProfile,
  tableCurve,
} from './icc-profile.ts';

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
  expect(profiledColors(shaperOf(await builtInProfile('srgb')))).toEqual({ wide: false, colorSpace: 'srgb' });
  expect(profiledColors(shaperOf(await builtInProfile('p3')))).toEqual({
    wide: true,
    colorSpace: 'display-p3',
  });
});

it('tells other primaries and other curves apart, and which go beyond sRGB', () => {
  expect(profiledColors(shaperOf(matrixProfile(ADOBE_RGB, ADOBE_GAMMA)))).toEqual({ wide: true });
  expect(profiledColors(shaperOf(matrixProfile(DISPLAY_P3, 2.2)))).toEqual({ wide: true });
  expect(profiledColors(shaperOf(matrixProfile(SRGB, 2.2)))).toEqual({ wide: false });
  expect(profiledColors(shaperOf(matrixProfile(APPLE_RGB, 1.8)))).toEqual({ wide: false });
  expect(profiledColors(shaperOf(matrixProfile(MEASURED, 2.2)))).toEqual({ wide: false });
});

it('says nothing of bytes that are no profile, however they end', async () => {
  const profile = await builtInProfile('p3');
  for (let length = 0; length < profile.length; length += 7)
    expect(typeof profiledColors(shaperOf(profile.subarray(0, length))).wide).toBe('boolean');
  expect(profiledColors(shaperOf(new Uint8Array(300)))).toEqual({ wide: false });
  expect(profiledColors(shaperOf(profile.subarray(0, 200)))).toEqual({ wide: false });
});

it('reads tone curves of every kind', () => {
  const of = (curve: number[]) => shaperOf(matrixProfile(ADOBE_RGB, curve))!.curves[1]!;
  const near = (curve: number[], expected: (x: number) => number) => {
    const found = of(curve);
    for (let i = 0; i <= 20; i++) expect(found(i / 20)).toBeCloseTo(expected(i / 20), 3);
  };
  near(tableCurve([]), (x) => x);
  near(tableCurve([0, 16384, 65535]), (x) => (x < 0.5 ? x / 2 : 0.25 + 1.5 * (x - 0.5)));
  near(gammaCurve(1.8), (x) => x ** 1.8);
  near(formulaCurve(0, [1.8]), (x) => x ** 1.8);
  near(formulaCurve(1, [2, 0.9, -0.1]), (x) => Math.max(0, 0.9 * x - 0.1) ** 2);
  near(formulaCurve(2, [2, 0.9, -0.1, 0.2]), (x) => Math.max(0, 0.9 * x - 0.1) ** 2 + 0.2);
  const [a, b] = [1 / 1.055, 0.055 / 1.055];
  near(formulaCurve(3, [2.4, a, b, 1 / 12.92, 0.04045]), (x) =>
    x < 0.04045 ? x / 12.92 : (a * x + b) ** 2.4,
  );
  near(formulaCurve(4, [2, 0.8, 0.1, 0.5, 0.2, 0.1, 0.05]), (x) =>
    x < 0.2 ? 0.5 * x + 0.05 : (0.8 * x + 0.1) ** 2 + 0.1,
  );
});

it('believes no profile that others refuse', () => {
  const changed = (at: number, value: string) => {
    const profile = matrixProfile(ADOBE_RGB, ADOBE_GAMMA);
    profile.set(Buffer.from(value, 'latin1'), at);
    return profile;
  };
  expect(shaperOf(changed(12, 'scnr'))).toBeDefined();
  for (const profile of [
    changed(12, 'link'),
    changed(12, 'abst'),
    changed(8, '\x05'),
    changed(36, 'none'),
    changed(20, 'Lab '),
    matrixProfile(ADOBE_RGB, formulaCurve(5, [1, 1, 1, 1, 1, 1, 1])),
    matrixProfile(ADOBE_RGB, [...Buffer.from('zzzz'), ...new Array<number>(12).fill(0)]),
  ]) {
    expect(shaperOf(profile)).toBeUndefined();
    expect(profiledColors(shaperOf(profile))).toEqual({ wide: false });
  }
});

it('knows the curve of sRGB in a profile of gray', () => {
  const curve = (gamma: number) => profiledColors(shaperOf(grayProfile(gamma))).colorSpace;
  expect(curve(2.2)).toBeUndefined();
  const srgb = formulaCurve(3, [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045]);
  expect(profiledColors(shaperOf(grayProfile(srgb)))).toEqual({ wide: false, colorSpace: 'srgb' });
});
