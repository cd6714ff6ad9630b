import { expect, it } from 'vitest';
import { StepClock } from '../../src/train/step-clock.ts';

const counted = (steps: readonly number[]) => {
  const clock = new StepClock();
  return steps.map((seconds) => clock.counted(seconds));
};

it('counts slow steps in full', () => {
  expect(counted([120, 130, 110, 125])).toEqual([120, 130, 110, 125]);
  expect(counted([0.2, 0.2, 29])).toEqual([0.2, 0.2, 29]);
});

it('counts of a pause ten steps, or half a minute', () => {
  expect(counted([0.2, 0.3, 3600, 0.2])).toEqual([0.2, 0.3, 30, 0.2]);
  expect(counted([20, 20, 20, 3600, 3600, 20])).toEqual([20, 20, 20, 200, 200, 20]);
});
