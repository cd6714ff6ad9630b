import { expect, it } from 'vitest';
import { crcOf } from '../../src/container/crc32c.ts';
import { noise } from './sample-file.ts';

it('gives the check value of the specification', () => {
  expect(crcOf(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
});

it('agrees with the test vectors of RFC 3720, B.4', () => {
  expect(crcOf(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crcOf(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crcOf(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
});

it('continues from the CRC of what came before, wherever the bytes are cut', () => {
  const bytes = noise(100, 4);
  for (let cut = 0; cut <= bytes.length; cut++)
    expect(crcOf(bytes.subarray(cut), crcOf(bytes.subarray(0, cut)))).toBe(crcOf(bytes));
});
