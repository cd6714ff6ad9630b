import { expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import { reducesAtOnce } from '../../src/pixels/reduce-at-once.ts';

it('an engine reduces at once what it can hold, if it reduces at all', () => {
  const engine = {
    model: { head: { hidden: 100 } },
    reduce: async () => new Uint8Array(),
  } as unknown as Engine;
  const [pixels, sites] = [1100 ** 2, 780_000];
  expect(reducesAtOnce(engine, pixels, sites)).toBe(true);
  expect(reducesAtOnce(engine, pixels + 1, sites)).toBe(false);
  expect(reducesAtOnce(engine, pixels, sites + 1)).toBe(false);
  expect(reducesAtOnce({ ...engine, reduce: undefined as never }, 1, 1)).toBe(false);
});
