import { FormatError } from '../errors.ts';
import { maxChunkBytes } from '../network/chunk-size.ts';
import { COARSE_BITS, type CodingTables, positionOf } from './cdf-table.ts';

/**
 * rANS (spec 2.2): four interleaved 32-bit states, 16-bit renormalization. Symbol i of a run uses state i mod
 * 4; runs are multiples of four long and begin at a channel that is a multiple of four, so that this is
 * channel mod 4.
 *
 * States are held as int32, whose bits are those of the unsigned state: faster than uint32 in JavaScript.
 */

/** The shortest chunk: four states of 32 bits. */
export const MIN_CHUNK_BYTES = 16;
/**
 * What four symbols can read at most, two words each: so far beyond its end a decoder may read a truncated
 * chunk before it refuses it.
 */
export const READ_AHEAD_BYTES = 16;
const INITIAL_STATE = 1 << 16;

/**
 * Reads the symbols of one chunk. Every method throws FormatError, section `chunk`, on bytes that break spec
 * 2.1 or 2.2.
 */
export class RansDecoder {
  readonly #tables: CodingTables;
  /** The chunk's words, then zeros that a truncated chunk is allowed to read before it is refused. */
  readonly #words: Uint16Array;
  readonly #end: number;
  #next: number;
  readonly #states: Int32Array;

  /** `maxSymbols`: how many symbols the chunk holds, the coded ones and the others. */
  constructor(bytes: Uint8Array, tables: CodingTables, maxSymbols: number) {
    this.#states = initialStates(bytes, maxSymbols);
    this.#tables = tables;
    this.#end = bytes.length / 2;
    this.#words = new Uint16Array(this.#end + READ_AHEAD_BYTES / 2);
    for (let i = 0; i < this.#end; i++) this.#words[i] = bytes[2 * i]! | (bytes[2 * i + 1]! << 8);
    this.#next = MIN_CHUNK_BYTES / 2;
  }

  /** Decodes a run of `count` symbols, a multiple of four; symbol i with table indices[i]. */
  decode(indices: Uint8Array, count: number, symbols: Int16Array): void {
    const { precision, base, cumulative, coarse, origin, rawBits, bypass, firstRaw } = this.#tables;
    const mask = (1 << precision) - 1;
    const coarseShift = precision - COARSE_BITS;
    const words = this.#words;
    const states = this.#states;
    let p = this.#next;
    for (let i = 0; i < count; i++) {
      const t = indices[i]!;
      const first = base[t]!;
      let n = 0;
      if (first >= 0) {
        let x = states[i & 3]!;
        const slot = x & mask;
        let j = first + coarse[(t << COARSE_BITS) | (slot >>> coarseShift)]!;
        while (cumulative[j + 1]! <= slot) j++;
        const low = cumulative[j]!;
        x = (Math.imul(cumulative[j + 1]! - low, x >>> precision) + slot - low) | 0;
        if (x >>> 16 === 0) x = (x << 16) | words[p++]!;
        n = j + origin[t]!;
        if (j >= firstRaw[t]!) {
          const bits = j === bypass[t]! ? 16 : rawBits[t]!;
          const raw = x & ((1 << bits) - 1);
          n = bits === 16 ? raw : (n << bits) | raw;
          x = x >>> bits;
          if (x >>> 16 === 0) x = (x << 16) | words[p++]!;
        }
        states[i & 3] = x;
        if (p > this.#end) throw endsEarly(2 * this.#end);
      }
      symbols[i] = n;
    }
    this.#next = p;
  }

  /** To be called after the last symbol: nothing may be left over. */
  finish(): void {
    expectEnd(2 * this.#next, 2 * this.#end, this.#states);
  }
}

/**
 * The four states that a chunk begins with. Throws FormatError on a length or a state that spec 2.1 or 2.2
 * excludes.
 */
export function initialStates(bytes: Uint8Array, maxSymbols: number): Int32Array {
  const { length } = bytes;
  const maximum = maxChunkBytes(maxSymbols);
  if (length < MIN_CHUNK_BYTES || length > maximum || length % 2 !== 0) {
    throw new FormatError(
      'chunk',
      0,
      `expected an even length from ${MIN_CHUNK_BYTES} to ${maximum} but received ${length}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Int32Array.from({ length: 4 }, (_, i) => {
    const state = view.getInt32(4 * i, true);
    if (state >>> 16 === 0) throw new FormatError('chunk', 4 * i, `state ${i} is ${state}, below 2^16`);
    return state;
  });
}

/** The error for a chunk of so many bytes whose symbols need more of them. */
export function endsEarly(length: number): FormatError {
  return new FormatError('chunk', length, 'its symbols go on beyond its end');
}

/**
 * Throws FormatError unless the last symbol has left a chunk's last byte and final states behind it. `next`:
 * the byte that follows the symbols.
 */
export function expectEnd(next: number, length: number, states: Int32Array): void {
  if (next !== length) {
    throw new FormatError('chunk', next, `${length - next} bytes are left after the last symbol`);
  }
  const wrong = states.findIndex((state) => state !== INITIAL_STATE);
  if (wrong >= 0) {
    throw new FormatError('chunk', 0, `state ${wrong} ends at ${states[wrong]! >>> 0}, not at 2^16`);
  }
}

/**
 * The bytes of a chunk with these symbols, in coding order and a multiple of four; symbol i is coded with
 * table indices[i].
 */
export function encodeSymbols(tables: CodingTables, indices: Uint8Array, symbols: Int16Array): Uint8Array {
  const { precision, base, cumulative, rawBits, bypass } = tables;
  const states = new Int32Array(4).fill(INITIAL_STATE);
  let words = new Uint16Array(1024);
  let count = 0;
  for (let i = symbols.length - 1; i >= 0; i--) {
    const t = indices[i]!;
    if (base[t]! < 0) continue;
    if (count + 2 > words.length) words = grown(words);
    let x = states[i & 3]!;
    const n = symbols[i]!;
    const position = positionOf(tables, t, n);
    const bits = position === bypass[t]! ? 16 : rawBits[t]!;
    if (bits > 0) {
      if (x >>> (32 - bits) !== 0) {
        words[count++] = x;
        x = x >>> 16;
      }
      x = (x << bits) | (n & ((1 << bits) - 1));
    }
    const low = cumulative[position]!;
    const f = cumulative[position + 1]! - low;
    if (x >>> (32 - precision) >= f) {
      words[count++] = x;
      x = x >>> 16;
    }
    const quotient = ((x >>> 0) / f) >>> 0;
    states[i & 3] = (quotient << precision) + ((x - Math.imul(quotient, f)) | 0) + low;
  }
  const bytes = new Uint8Array(MIN_CHUNK_BYTES + 2 * count);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 4; i++) view.setInt32(4 * i, states[i]!, true);
  for (let i = 0; i < count; i++) view.setUint16(MIN_CHUNK_BYTES + 2 * i, words[count - 1 - i]!, true);
  return bytes;
}

function grown(words: Uint16Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  const larger = new Uint16Array(words.length * 2);
  larger.set(words);
  return larger;
}
