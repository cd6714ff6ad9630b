import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { WasmHeap } from '../../../src/engine/wasm/heap.ts';
import { packSymbols } from '../../../src/engine/wasm/pack/pack-symbols.ts';
import { STREAM_BYTES } from '../../../src/engine/wasm/program/chunk-plan.ts';
import type { Kernels } from '../../../src/engine/wasm/program/program.ts';
import { type CodingTables, codingTables } from '../../../src/entropy/cdf-table.ts';
import {
  encodeSymbols,
  endsEarly,
  expectEnd,
  initialStates,
  MIN_CHUNK_BYTES,
  RansDecoder,
  READ_AHEAD_BYTES,
} from '../../../src/entropy/rans.ts';
import { FormatError } from '../../../src/errors.ts';
import type { CdfTables, Model } from '../../../src/network/model.ts';
import { frequencies, randomSource } from '../../fixtures/tiny-model.ts';

const module = await WebAssembly.compile(
  await readFile(new URL('../../../src/engine/wasm/kernels.wasm', import.meta.url)),
);
const PAGE = 65_536;
/** For chunks, above the tables. */
const ROOM = 4 * PAGE;

/**
 * Tables at the limits of spec 3.9: 256 of them, of 2 to 1024 frequencies, all in one or even, with 0 to 12
 * raw bits; every fifth is empty.
 */
function tablesOf(precision: number, firstIsEmpty: boolean): CdfTables {
  const random = randomSource(precision);
  const start = [0];
  const frequency: number[] = [];
  const minimum: number[] = [];
  const rawBits: number[] = [];
  for (let t = 0; t < 256; t++) {
    const empty = t === 0 ? firstIsEmpty : t % 5 === 2;
    const size = empty ? 0 : t % 7 === 1 ? 1024 : t % 7 === 2 ? 2 : 2 + Math.floor(random() * 300);
    const shape = Array.from({ length: size }, () => random() ** (1 + (t % 4) * 8));
    if (size > 0) frequency.push(...frequencies(shape, 2 ** precision));
    start.push(frequency.length);
    const bits = size > 512 ? t % 6 : t % 13;
    rawBits.push(bits);
    minimum.push(-Math.min(32768 >> bits, Math.floor((random() + 0.5) * size)));
  }
  return {
    count: 256,
    precision,
    start: Int32Array.from(start),
    frequency: Int16Array.from(frequency),
    minimum: Int16Array.from(minimum),
    rawBits: Int16Array.from(rawBits),
  };
}

/** What became of a chunk: its symbols, or why it is refused. */
type Outcome = { readonly symbols: Int16Array } | { readonly refused: string };

function outcomeOf(work: () => Int16Array): Outcome {
  try {
    return { symbols: work() };
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return { refused: (error as Error).message };
  }
}

/** The kernel, with a chunk at the very end of its memory: reading beyond what a chunk is given traps. */
class KernelDecoder {
  readonly #memory: WebAssembly.Memory;
  readonly #kernels: Kernels;
  readonly #tables: number;
  /** Up to here lie the tables. */
  readonly #first: number;
  readonly #before: Uint8Array;

  constructor(tables: CdfTables) {
    const heap = new WasmHeap(false, 2 ** 25);
    const none = new Int32Array(0);
    const model = { tables, latent: { step: none, deviationOffset: none } } as unknown as Model;
    this.#tables = packSymbols(model, heap).tables;
    this.#memory = heap.memory;
    this.#first = heap.memory.buffer.byteLength;
    heap.memory.grow(ROOM / PAGE);
    const env = { memory: heap.memory, abort: () => {} };
    this.#kernels = new WebAssembly.Instance(module, { env }).exports as unknown as Kernels;
    this.#before = new Uint8Array(heap.memory.buffer.slice(0, this.#first));
  }

  /** Also looks for anything that was written where nothing is to be written. */
  decode(bytes: Uint8Array, indices: Uint8Array): Outcome {
    const { buffer } = this.#memory;
    const count = indices.length;
    const words = buffer.byteLength - READ_AHEAD_BYTES - bytes.length;
    const run = (words - 3 * count) & ~3;
    const stream = new Int32Array(buffer, run - STREAM_BYTES, STREAM_BYTES / 4);
    new Uint8Array(buffer, this.#first).fill(0);
    new Uint8Array(buffer, words).set(bytes);
    new Uint8Array(buffer, run).set(indices);
    const outcome = outcomeOf(() => {
      stream.set([...initialStates(bytes, count), words + MIN_CHUNK_BYTES, words + bytes.length]);
      if (!this.#kernels.decodeSymbols(stream.byteOffset, this.#tables, run, run + count, count))
        throw endsEarly(bytes.length);
      expectEnd(stream[4]! - words, bytes.length, stream.subarray(0, 4));
      return new Int16Array(buffer.slice(run + count, run + 3 * count));
    });
    const same = (from: number, expected: Uint8Array) =>
      Buffer.compare(new Uint8Array(buffer, from, expected.length), expected) === 0;
    expect(same(0, this.#before)).toBe(true);
    expect(same(this.#first, new Uint8Array(stream.byteOffset - this.#first))).toBe(true);
    expect(same(run, indices)).toBe(true);
    expect(same(words, Uint8Array.of(...bytes, ...new Uint8Array(READ_AHEAD_BYTES)))).toBe(true);
    return outcome;
  }
}

function reference(bytes: Uint8Array, tables: CodingTables, indices: Uint8Array): Outcome {
  return outcomeOf(() => {
    const decoder = new RansDecoder(bytes, tables, indices.length);
    const symbols = new Int16Array(indices.length);
    decoder.decode(indices, indices.length, symbols);
    decoder.finish();
    return symbols;
  });
}

describe.each([
  [12, true],
  [13, false],
  [14, true],
] as const)('symbols in the kernel, with %i bits of probability', (precision, firstIsEmpty) => {
  const source = tablesOf(precision, firstIsEmpty);
  const tables = codingTables(source);
  const decoder = new KernelDecoder(source);

  it('come back from both ends of every table, from its raw bits and from the bypass', () => {
    const indices: number[] = [];
    const symbols: number[] = [];
    for (let t = 0; t < source.count; t++) {
      const size = source.start[t + 1]! - source.start[t]!;
      const low = source.minimum[t]! * 2 ** source.rawBits[t]!;
      const high = (source.minimum[t]! + size - 1) * 2 ** source.rawBits[t]! - 1;
      const all = [low, low + 1, high - 1, high, low - 1, high + 1, -32768, 32767];
      for (const n of size === 0 ? [0, 0, 0, 0] : all) {
        indices.push(t);
        symbols.push(Math.max(-32768, Math.min(32767, n)));
      }
    }
    // Each place in four has another state.
    for (let turn = 0; turn < 4; turn++) {
      indices.push(indices.shift()!);
      symbols.push(symbols.shift()!);
      const expected = Int16Array.from(symbols);
      const bytes = encodeSymbols(tables, Uint8Array.from(indices), expected);
      expect(decoder.decode(bytes, Uint8Array.from(indices))).toEqual({ symbols: expected });
    }
  });

  it('come back from every frequency of every table', () => {
    for (let t = 0; t < source.count; t++) {
      const size = source.start[t + 1]! - source.start[t]!;
      if (size === 0) continue;
      const raw = source.rawBits[t]!;
      const symbols = Int16Array.from(
        { length: Math.ceil(size / 4) * 4 },
        (_, k) =>
          (source.minimum[t]! + Math.min(k, size - 2)) * 2 ** raw +
          ((k * 2654435761) >>> (32 - raw)) * Math.sign(raw),
      );
      const indices = new Uint8Array(symbols.length).fill(t);
      const bytes = encodeSymbols(tables, indices, symbols);
      expect(decoder.decode(bytes, indices), `table ${t}`).toEqual({ symbols });
    }
  });

  const random = randomSource(precision + 1);
  const indices = Uint8Array.from({ length: 240 }, (_, i) => (i % 24 < 8 ? 0 : random() * source.count));
  const chunk = encodeSymbols(
    tables,
    indices,
    Int16Array.from(indices, () => (random() - 0.5) * 400),
  );

  it('are refused as the reference refuses them when the chunk is cut, at every length', () => {
    for (let length = 0; length < chunk.length; length++) {
      const outcome = decoder.decode(chunk.slice(0, length), indices);
      expect(outcome).toHaveProperty('refused');
      expect(outcome).toEqual(reference(chunk.slice(0, length), tables, indices));
    }
  });

  it('have the end that the reference finds, whatever the bits of the chunk are', () => {
    for (let i = 0; i < 3000; i++) {
      const changed = chunk.slice();
      for (let k = Math.floor(random() * 3); k >= 0; k--)
        changed[Math.floor(random() * changed.length)]! ^= 1 << (random() * 8);
      expect(decoder.decode(changed, indices)).toEqual(reference(changed, tables, indices));
    }
  });

  it('have the end that the reference finds in bytes that never were a chunk', () => {
    for (let i = 0; i < 1000; i++) {
      const bytes = Uint8Array.from({ length: 16 + 2 * Math.floor(random() * 300) }, () => random() * 256);
      const tablesUsed = Uint8Array.from({ length: 4 + 4 * Math.floor(random() * 60) }, () => random() * 256);
      expect(decoder.decode(bytes, tablesUsed)).toEqual(reference(bytes, tables, tablesUsed));
    }
  });
});
