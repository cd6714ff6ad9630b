import { describe, expect, it } from 'vitest';
import { type CodingTables, codingTables, positionOf } from '../../src/entropy/cdf-table.ts';
import { encodeSymbols, RansDecoder } from '../../src/entropy/rans.ts';
import { FormatError } from '../../src/errors.ts';
import type { CdfTables } from '../../src/network/model.ts';
import { frequencies, randomSource } from '../fixtures/tiny-model.ts';

/** Random tables: every third has raw bits, some are empty, frequencies from even to all in one. */
function randomTables(seed: number, precision: number, count: number): CdfTables {
  const random = randomSource(seed);
  const start = [0];
  const frequency: number[] = [];
  const minimum: number[] = [];
  const rawBits: number[] = [];
  for (let t = 0; t < count; t++) {
    const size = t % 7 === 3 ? 0 : t === 1 ? 1024 : t === 2 ? 2 : 2 + Math.floor(random() * 300);
    const shape = Array.from({ length: size }, () => random() ** (1 + (t % 5) * 3));
    if (size > 0) frequency.push(...frequencies(shape, 2 ** precision));
    start.push(frequency.length);
    rawBits.push(t % 3 === 2 ? 1 + Math.floor(random() * 5) : 0);
    minimum.push(-Math.floor(random() * 300));
  }
  return {
    count,
    precision,
    start: Int32Array.from(start),
    frequency: Int16Array.from(frequency),
    minimum: Int16Array.from(minimum),
    rawBits: Int16Array.from(rawBits),
  };
}

interface Message {
  indices: Uint8Array;
  symbols: Int16Array;
}

/** Symbols within and beyond what their tables express. */
function randomMessage(tables: CdfTables, seed: number, length: number): Message {
  const random = randomSource(seed);
  const indices = Uint8Array.from({ length }, () => Math.floor(random() * tables.count));
  const symbols = Int16Array.from(indices, (t) => {
    const size = tables.start[t + 1]! - tables.start[t]!;
    if (size === 0) return 0;
    if (random() < 0.02) return [-32768, 32767, -1, 0, 1][Math.floor(random() * 5)]!;
    return (tables.minimum[t]! << tables.rawBits[t]!) + Math.floor(random() * (size << tables.rawBits[t]!));
  });
  return { indices, symbols };
}

function decode(bytes: Uint8Array, tables: CodingTables, indices: Uint8Array, runs = 1): Int16Array {
  const decoder = new RansDecoder(bytes, tables, indices.length);
  const symbols = new Int16Array(indices.length);
  const length = indices.length / runs;
  for (let from = 0; from < indices.length; from += length) {
    decoder.decode(indices.subarray(from, from + length), length, symbols.subarray(from, from + length));
  }
  decoder.finish();
  return symbols;
}

describe.each([12, 13, 14])('at %i bits of probability', (precision) => {
  it('symbols come back, through tables, raw bits and bypass', () => {
    for (let seed = 1; seed < 8; seed++) {
      const source = randomTables(seed, precision, 5 + seed * 30);
      const tables = codingTables(source);
      const { indices, symbols } = randomMessage(source, seed, 4096);
      const bytes = encodeSymbols(tables, indices, symbols);
      expect(decode(bytes, tables, indices, 16)).toEqual(symbols);
      // Wherever they lie, as views of a larger read do.
      const within = new Uint8Array([1, ...bytes]).subarray(1);
      expect(decode(within, tables, indices, 16)).toEqual(symbols);
    }
  });

  it('every symbol that a table expresses is coded through it, any other through the bypass', () => {
    const source = randomTables(3, precision, 40);
    const tables = codingTables(source);
    for (let t = 0; t < source.count; t++) {
      const size = source.start[t + 1]! - source.start[t]!;
      if (size === 0) {
        expect(tables.base[t]).toBe(-1);
        continue;
      }
      const low = source.minimum[t]! << source.rawBits[t]!;
      const high = ((source.minimum[t]! + size - 1) << source.rawBits[t]!) - 1;
      const bypass = tables.bypass[t]!;
      expect(bypass - tables.base[t]!).toBe(size - 1);
      for (const n of [low, high]) expect(positionOf(tables, t, n)).not.toBe(bypass);
      for (const n of [low - 1, high + 1, -32768, 32767]) expect(positionOf(tables, t, n)).toBe(bypass);
    }
  });

  it('the bytes are as many as the frequencies say', () => {
    const source = randomTables(9, precision, 30);
    const tables = codingTables(source);
    const { indices, symbols } = randomMessage(source, 5, 8000);
    let cost = 0;
    for (const [i, t] of indices.entries()) {
      if (tables.base[t]! < 0) continue;
      const position = positionOf(tables, t, symbols[i]!);
      const raw = position === tables.bypass[t]! ? 16 : source.rawBits[t]!;
      const frequency = source.frequency[source.start[t]! + position - tables.base[t]!]!;
      cost += precision - Math.log2(frequency) + raw;
    }
    const bits = 8 * (encodeSymbols(tables, indices, symbols).length - 8); // four states of 2^16 say nothing
    expect(bits / cost).toBeGreaterThan(0.999);
    expect(bits / cost).toBeLessThan(1.01);
  });
});

it('a chunk without coded symbols is four states of 2^16', () => {
  const tables = codingTables(randomTables(1, 14, 8));
  const bytes = encodeSymbols(tables, new Uint8Array(64).fill(3), new Int16Array(64));
  expect([...bytes]).toEqual([0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0]);
});

it('a small message has the bytes of the specification, computed by hand', () => {
  // One table with frequencies 4096, 8192, 4096 of 16384 and minimum -1: symbols -1, 0, and the bypass.
  const tables = codingTables({
    count: 1,
    precision: 14,
    start: Int32Array.of(0, 3),
    frequency: Int16Array.of(4096, 8192, 4096),
    minimum: Int16Array.of(-1),
    rawBits: Int16Array.of(0),
  });
  // State 0, symbol 0: x = (65536 div 8192 << 14) + 65536 mod 8192 + 4096 = 135168. State 1, symbol -1: x =
  // (65536 div 4096 << 14) + 0 + 0 = 262144. State 2, symbol 5: 16 raw bits: write 0, x = 1 << 16 | 5 =
  // 65541; bypass: (65541 div 4096 << 14) + 5 + 12288 = 274437. State 3, symbol 0: as state 0.
  const bytes = encodeSymbols(tables, new Uint8Array(4), Int16Array.of(0, -1, 5, 0));
  const view = new DataView(bytes.buffer);
  expect([0, 4, 8, 12].map((at) => view.getUint32(at, true))).toEqual([135168, 262144, 274437, 135168]);
  expect([...bytes.subarray(16)]).toEqual([0, 0]);
});

describe('a damaged chunk', () => {
  const source = randomTables(6, 14, 50);
  const tables = codingTables(source);
  const { indices, symbols } = randomMessage(source, 8, 256);
  const bytes = encodeSymbols(tables, indices, symbols);

  it('is refused at every length but its own', () => {
    for (let length = 0; length < bytes.length; length++) {
      const reason = length < 16 || length % 2 ? 'expected an even length' : 'go on beyond its end';
      expect(() => decode(bytes.slice(0, length), tables, indices), `${length}`).toThrow(
        expect.objectContaining({ _tag: 'FormatError', reason: expect.stringContaining(reason) }),
      );
    }
    for (let more = 1; more < 9; more++) {
      const longer = new Uint8Array(bytes.length + more);
      longer.set(bytes);
      expect(() => decode(longer, tables, indices)).toThrow(FormatError);
    }
  });

  it('is refused where it is longer than its symbols could be', () => {
    const decoder = (length: number) => () => new RansDecoder(new Uint8Array(length).fill(1), tables, 4);
    expect(decoder(16 + 8 * 4)).not.toThrow();
    expect(decoder(16 + 8 * 4 + 2)).toThrow(/from 16 to 48 but received 50/);
  });

  it('is refused with an initial state below 2^16', () => {
    for (let i = 0; i < 4; i++) {
      const changed = bytes.slice();
      changed.fill(0, 4 * i + 2, 4 * i + 4);
      expect(() => decode(changed, tables, indices)).toThrow(new RegExp(`byte ${4 * i}: state ${i}`));
    }
  });

  it('is refused with another final state', () => {
    const empty = encodeSymbols(tables, new Uint8Array(4).fill(3), new Int16Array(4));
    for (let i = 0; i < 4; i++) {
      const changed = empty.slice();
      changed[4 * i] = 1;
      expect(() => decode(changed, tables, new Uint8Array(4).fill(3))).toThrow(`state ${i} ends at 65537`);
      changed.set([0, 0, 1, 128], 4 * i);
      expect(() => decode(changed, tables, new Uint8Array(4).fill(3))).toThrow(
        `ends at ${2 ** 31 + 2 ** 16}`,
      );
    }
  });

  it('is refused or decodes to something, whatever its bits are', () => {
    const random = randomSource(12);
    let refused = 0;
    for (let i = 0; i < 3000; i++) {
      const changed = bytes.slice();
      for (let k = Math.floor(random() * 3); k >= 0; k--)
        changed[Math.floor(random() * changed.length)]! ^= 1 << (random() * 8);
      try {
        decode(changed, tables, indices);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(2500); // the others hit raw bits: the container's CRC is there for them
  });
});
