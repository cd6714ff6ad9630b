import { expect, it } from 'vitest';
import { distortionWeight } from '../../src/network/distortion-weight.ts';

it('weighs errors geometrically between the lowest and the highest quality', () => {
  expect(distortionWeight(1, 100)).toBe(0.0016);
  expect(distortionWeight(100, 100)).toBeCloseTo(0.36, 12);
  for (const quality of [2, 20, 50, 99])
    expect(distortionWeight(quality, 100)).toBeCloseTo(0.0016 * 225 ** ((quality - 1) / 99), 12);
  expect(distortionWeight(1, 1)).toBe(0.0016);
});
