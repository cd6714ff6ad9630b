import { expect, it } from 'vitest';
import { fromHexadecimal, toHexadecimal } from '../src/hexadecimal.ts';

it('every byte is two digits, and back', () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(toHexadecimal(bytes)).toBe(Buffer.from(bytes).toString('hex'));
  expect(fromHexadecimal(toHexadecimal(bytes))).toEqual(bytes);
  expect(fromHexadecimal('')).toEqual(new Uint8Array());
});
