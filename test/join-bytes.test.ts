import { expect, it } from 'vitest';
import { joinBytes } from '../src/join-bytes.ts';

it('joins parts in memory of their own, even a single one', () => {
  const parts = [Uint8Array.of(1, 2), Uint8Array.of(), Buffer.from([3])];
  expect(joinBytes(parts)).toEqual(Uint8Array.of(1, 2, 3));
  expect(joinBytes([])).toEqual(new Uint8Array());
  const only = joinBytes([parts[0]!]);
  parts[0]![0] = 9;
  expect(only).toEqual(Uint8Array.of(1, 2));
});
