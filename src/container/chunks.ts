import { FormatError } from '../errors.ts';
import { ByteReader, ByteWriter } from './cursor.ts';
import type { Header } from './header.ts';
import {
  INDEX_ENTRY_LENGTH,
  LATENT_STRIDE,
  MAX_CHUNK_LENGTH,
  MAX_CHUNKS,
  MIN_CHUNK_LENGTH,
} from './layout.ts';

/** A chunk by its place. Level 0 is native; plane 0 is color, 1 alpha; row and column count chunks. */
export interface ChunkId {
  readonly level: number;
  readonly plane: number;
  readonly row: number;
  readonly column: number;
}

/** A line of the index: where a chunk's bytes are. Spec 1.4. */
export interface ChunkEntry {
  readonly byteOffset: number;
  readonly length: number;
  readonly crc: number;
}

/**
 * The lines of an index, 12 bytes each, since a file may have a million chunks, and a server many files.
 * Chunks follow each other without gaps.
 */
export class ChunkIndex {
  /** Where each begins, and where the last one ends. */
  readonly #offsets: Float64Array;
  readonly #crcs: Uint32Array;
  readonly length: number;

  constructor(offsets: Float64Array, crcs: Uint32Array) {
    this.length = crcs.length;
    this.#offsets = offsets;
    this.#crcs = crcs;
  }

  /** Where the last chunk ends. */
  get end(): number {
    return this.#offsets[this.length]!;
  }

  /** The line of a chunk, by its number. */
  at(number: number): ChunkEntry {
    const byteOffset = this.#offsets[number]!;
    return { byteOffset, length: this.#offsets[number + 1]! - byteOffset, crc: this.#crcs[number]! };
  }

  *[Symbol.iterator](): Generator<ChunkEntry> {
    for (let number = 0; number < this.length; number++) yield this.at(number);
  }
}

type Shape = Pick<Header, 'width' | 'height' | 'alpha' | 'chunkSize' | 'levels' | 'overviewFactor'>;

/** Pixels of a level. */
export function levelSize(header: Shape, level: number): { width: number; height: number } {
  const reduction = header.overviewFactor ** level;
  return { width: Math.ceil(header.width / reduction), height: Math.ceil(header.height / reduction) };
}

/** Latents of a level. */
export function latentExtent(header: Shape, level: number): { height: number; width: number } {
  const { width, height } = levelSize(header, level);
  return { height: Math.ceil(height / LATENT_STRIDE), width: Math.ceil(width / LATENT_STRIDE) };
}

/** Rows and columns of chunks in a plane of a level. */
export function chunkGrid(header: Shape, level: number): { rows: number; columns: number } {
  const { height, width } = latentExtent(header, level);
  return { rows: Math.ceil(height / header.chunkSize), columns: Math.ceil(width / header.chunkSize) };
}

/** Latents of a chunk; those at the right and at the bottom may be smaller. */
export function chunkExtent(
  header: Shape,
  { level, row, column }: ChunkId,
): { height: number; width: number } {
  const { height, width } = latentExtent(header, level);
  const size = header.chunkSize;
  return { height: Math.min(size, height - row * size), width: Math.min(size, width - column * size) };
}

/** Whether the file has such a chunk. */
export function hasChunk(header: Shape, { level, plane, row, column }: ChunkId): boolean {
  const below = (value: number, limit: number) => Number.isInteger(value) && value >= 0 && value < limit;
  if (!below(level, header.levels) || !below(plane, planeCount(header))) return false;
  const { rows, columns } = chunkGrid(header, level);
  return below(row, rows) && below(column, columns);
}

export function planeCount(header: Pick<Header, 'alpha'>): number {
  return header.alpha ? 2 : 1;
}

/** How many chunks a file of this shape has; possibly far more than the 2^20 that are allowed. */
export function chunkCount(header: Shape): number {
  return chunksBefore(header, -1);
}

/** Chunks of the levels that are smaller than `level`. */
function chunksBefore(header: Shape, level: number): number {
  let count = 0;
  for (let smaller = level + 1; smaller < header.levels; smaller++) {
    const { rows, columns } = chunkGrid(header, smaller);
    count += rows * columns * planeCount(header);
  }
  return count;
}

/** Position of a chunk that the file has in the index: smallest level first, then planes, rows, columns. */
export function chunkNumber(header: Shape, { level, plane, row, column }: ChunkId): number {
  const { rows, columns } = chunkGrid(header, level);
  return chunksBefore(header, level) + (plane * rows + row) * columns + column;
}

/** All chunks in the order of the index. */
export function chunkList(header: Shape): ChunkId[] {
  const list: ChunkId[] = [];
  for (let level = header.levels - 1; level >= 0; level--) {
    const { rows, columns } = chunkGrid(header, level);
    for (let plane = 0; plane < planeCount(header); plane++)
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++) list.push({ level, plane, row, column });
  }
  return list;
}

/**
 * Bytes of the index of a header's chunks, its CRC left out. Throws FormatError when there are more chunks
 * than a file may have.
 */
export function indexLength(header: Shape, headerOffset: number): number {
  const count = chunkCount(header);
  if (count > MAX_CHUNKS)
    throw new FormatError(
      'header',
      headerOffset,
      `${count} chunks are more than the ${MAX_CHUNKS} that a file may have`,
    );
  return count * INDEX_ENTRY_LENGTH;
}

/**
 * Reads an index. `byteOffset`: where it begins in the file; `firstChunk`: where the chunks begin. Throws
 * FormatError on a gap, an overlap or a length out of range.
 */
export function readIndex(bytes: Uint8Array, byteOffset: number, firstChunk: number): ChunkIndex {
  const reader = new ByteReader(
    bytes,
    (offset) => new FormatError('index', byteOffset + offset, 'the index ends early'),
  );
  const count = Math.ceil(bytes.length / INDEX_ENTRY_LENGTH);
  const offsets = new Float64Array(count + 1);
  const crcs = new Uint32Array(count);
  let expected = firstChunk;
  for (let number = 0; number < count; number++) {
    const at = byteOffset + reader.offset;
    // In halves: 64 bits need not fit a double, and a million bigints take long.
    const low = reader.readUint32();
    const high = reader.readUint32();
    const length = reader.readUint32();
    if (low !== expected % 2 ** 32 || high !== Math.floor(expected / 2 ** 32)) {
      reader.offset -= 12;
      throw new FormatError(
        'index',
        at,
        `chunk ${number} begins at ${reader.readUint64()} but the one before it ends at ${expected}`,
      );
    }
    if (length < MIN_CHUNK_LENGTH || length > MAX_CHUNK_LENGTH || length % 2 !== 0)
      throw new FormatError('index', at + 8, `chunk ${number} has a length of ${length} bytes`);
    offsets[number] = expected;
    crcs[number] = reader.readUint32();
    expected += length;
  }
  offsets[count] = expected;
  return new ChunkIndex(offsets, crcs);
}

/** The index as bytes, without its CRC. */
export function writeIndex(entries: readonly ChunkEntry[]): Uint8Array {
  const writer = new ByteWriter(entries.length * INDEX_ENTRY_LENGTH);
  for (const { byteOffset, length, crc } of entries) {
    writer.writeUint64(byteOffset);
    writer.writeUint32(length);
    writer.writeUint32(crc);
  }
  return writer.bytes;
}
