import { crcOf } from '../../src/container/crc32c.ts';
import { seededRandom as seeded } from '../../src/train/random.ts';

/**
 * Files put together by hand from specification chapter 1, so that tests check reader and writer against
 * something that is neither, and can break any field while all CRCs stay right. Chunks hold noise: nothing
 * here decodes them.
 */

/** 0 <= value < 1; the same numbers for the same seed. */
export { seeded };

export function noise(length: number, seed: number): Uint8Array {
  const next = seeded(seed);
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = next() * 256;
  return bytes;
}

export function concat(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

export function littleEndian(value: number | bigint, size: 2 | 4 | 8): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes.subarray(0, size);
}

/** Bytes that are MessagePack already. */
export class Raw {
  readonly bytes: Uint8Array;
  constructor(...bytes: number[]) {
    this.bytes = Uint8Array.from(bytes);
  }
}

/** A small MessagePack writer of its own: numbers that are whole become integers, others floats. */
export function pack(value: unknown): Uint8Array {
  if (value instanceof Raw) return value.bytes;
  if (value === null) return Uint8Array.of(0xc0);
  if (typeof value === 'boolean') return Uint8Array.of(value ? 0xc3 : 0xc2);
  if (typeof value === 'number') return packNumber(value);
  if (typeof value === 'string') {
    const bytes = new TextEncoder().encode(value);
    return concat(bytes.length < 32 ? [0xa0 | bytes.length] : [0xd9, bytes.length], bytes);
  }
  if (value instanceof Uint8Array) return concat([0xc4, value.length], value);
  if (Array.isArray(value))
    return concat(value.length < 16 ? [0x90 | value.length] : [0xdc, 0, value.length], ...value.map(pack));
  const entries = value instanceof Map ? [...value] : Object.entries(value as object);
  return concat([0xde, entries.length >> 8, entries.length & 255], ...entries.flat().map(pack));
}

function packNumber(value: number): Uint8Array {
  const bytes = new Uint8Array(9);
  const view = new DataView(bytes.buffer);
  if (!Number.isInteger(value)) {
    bytes[0] = 0xcb;
    view.setFloat64(1, value);
    return bytes;
  }
  if (value >= 0 && value < 128) return Uint8Array.of(value);
  bytes[0] = value < 0 ? 0xd3 : 0xcf;
  view.setBigInt64(1, BigInt(value));
  return bytes;
}

/** 300 x 170 pixels with alpha, chunks of 8 latents, three levels: 2*(3*2 + 1 + 1) = 16 chunks. */
export const FIELDS = {
  width: 300,
  height: 170,
  channels: 3,
  alpha: true,
  depth: 8,
  quality: 60,
  model: noise(32, 1),
  encoder: 'by hand',
  chunkSize: 8,
  levels: 3,
  overviewFactor: 4,
} as const;
export const CHUNK_COUNT = 16;

export interface FileParts {
  magic?: Uint8Array;
  version?: number;
  flags?: number;
  /** Stated instead of the true length. */
  headerLength?: number;
  /** Fields that differ from FIELDS; undefined leaves one out. */
  fields?: Readonly<Record<string, unknown>>;
  /** Instead of the fields. */
  header?: Uint8Array;
  chunks?: readonly Uint8Array[];
  /** Changes a line of the index: offset, length, CRC. */
  entry?: (entry: [number | bigint, number, number], number: number) => void;
  sections?: readonly (readonly [string, Uint8Array])[];
  trailing?: Uint8Array;
}

export interface SampleFile {
  readonly bytes: Uint8Array;
  readonly headerLength: number;
  readonly indexOffset: number;
  readonly firstChunk: number;
  readonly chunkOffsets: readonly number[];
  readonly chunks: readonly Uint8Array[];
  readonly sections: readonly (readonly [string, Uint8Array])[];
}

export function noiseChunks(count: number, lengths: (i: number) => number = (i) => 16 + 2 * (i % 7)) {
  return Array.from({ length: count }, (_, i) => noise(lengths(i), i + 10));
}

export function sampleFile(parts: FileParts = {}): SampleFile {
  const chunks = parts.chunks ?? noiseChunks(CHUNK_COUNT);
  const sections =
    parts.sections ??
    ([
      ['icc', noise(21, 2)],
      ['text', noise(0, 3)],
    ] as const);
  const fields = {
    ...FIELDS,
    sections: sections.map(([type, bytes]) => [type, bytes.length, crcOf(bytes)]),
    ...parts.fields,
  };
  const header =
    parts.header ??
    pack(Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)));
  const prefix = concat(
    parts.magic ?? [0x89, 0x4c, 0x49, 0x49, 0x46, 0x0d, 0x0a, 0x1a],
    littleEndian(parts.version ?? 1, 2),
    littleEndian(parts.flags ?? 0, 2),
    littleEndian(parts.headerLength ?? header.length, 4),
    header,
  );
  const indexOffset = prefix.length + 4;
  const firstChunk = indexOffset + 16 * chunks.length + 4;
  const chunkOffsets: number[] = [];
  let offset = firstChunk;
  const lines = chunks.map((chunk, i) => {
    const entry: [number | bigint, number, number] = [offset, chunk.length, crcOf(chunk)];
    chunkOffsets.push(offset);
    offset += chunk.length;
    parts.entry?.(entry, i);
    return concat(littleEndian(entry[0], 8), littleEndian(entry[1], 4), littleEndian(entry[2], 4));
  });
  const index = concat(...lines);
  const bytes = concat(
    prefix,
    littleEndian(crcOf(prefix), 4),
    index,
    littleEndian(crcOf(index), 4),
    ...chunks,
    ...sections.map((section) => section[1]),
    parts.trailing ?? [],
  );
  return { bytes, headerLength: header.length, indexOffset, firstChunk, chunkOffsets, chunks, sections };
}
