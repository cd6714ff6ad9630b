import {
  type ChunkId,
  type ChunkIndex,
  chunkCount,
  chunkNumber,
  hasChunk,
  indexLength,
  readIndex,
} from '../container/chunks.ts';
import { crcOf } from '../container/crc32c.ts';
import { ByteReader } from '../container/cursor.ts';
import { type Header, readHeader } from '../container/header.ts';
import {
  CRC_LENGTH,
  MAGIC,
  MAX_CHUNKS,
  MAX_HEADER_LENGTH,
  PREFIX_LENGTH,
  VERSION,
} from '../container/layout.ts';
import { FormatError, isLiifError, RequestError, UnsupportedError } from '../errors.ts';
import { joinBytes } from '../join-bytes.ts';
import { CoalescedReads } from './coalesce.ts';
import { OpenedSource } from './opened-source.ts';
import type { Source } from './source.ts';

/** `verify` reads the file in pieces of this size. */
const PIECE = 2 ** 20;

export interface ReaderOptions {
  readonly signal?: AbortSignal;
  /**
   * Files of more chunks are refused with UnsupportedError: an opened file keeps 12 bytes for each. Default:
   * 2^20, as many as the format allows.
   */
  readonly maxChunks?: number;
}

/** Where a chunk or section is, and what its CRC has to be. */
interface Part {
  readonly section: 'chunk' | 'section';
  readonly byteOffset: number;
  readonly length: number;
  readonly crc: number;
}

/** An opened file: its header and index, and its chunks as they are asked for. */
export class Reader {
  /** Does not ask again for the bytes that opening has read; closes with the reader. */
  readonly source: OpenedSource;
  readonly header: Header;
  /** The index. */
  readonly entries: ChunkIndex;
  /** Bytes before the first chunk. */
  readonly prefixLength: number;
  /** Size of the whole file, as header and index imply it. */
  readonly fileLength: number;
  readonly #sections: ReadonlyMap<string, Part>;
  readonly #reads: CoalescedReads;

  constructor(source: OpenedSource, header: Header, entries: ChunkIndex, prefixLength: number) {
    this.source = source;
    this.header = header;
    this.entries = entries;
    this.prefixLength = prefixLength;
    this.#reads = new CoalescedReads(source);
    let { end } = entries;
    const sections = new Map<string, Part>();
    for (const { type, length, crc } of header.sections) {
      sections.set(type, { section: 'section', byteOffset: end, length, crc });
      end += length;
    }
    this.#sections = sections;
    this.fileLength = end;
  }

  /** Bytes that the source has given so far. */
  get bytesRead(): number {
    return this.source.bytesRead;
  }

  /**
   * The checked bytes of a chunk, which may share memory with other results. Chunks that lie next to each
   * other and are asked for in the same turn of the event loop become one request. Rejects with FormatError
   * when the CRC does not fit, with SourceError when bytes do not arrive, and with RequestError when the file
   * has no such chunk.
   */
  async readChunk(id: ChunkId, signal?: AbortSignal): Promise<Uint8Array> {
    if (!hasChunk(this.header, id))
      throw new RequestError(
        `The file has no chunk at level ${id.level}, plane ${id.plane}, row ${id.row}, column ${id.column}`,
      );
    const entry = this.entries.at(chunkNumber(this.header, id));
    return this.#checked({ section: 'chunk', ...entry }, signal);
  }

  /**
   * A FormatError of an engine, with its offset counted from the start of the file instead of the chunk;
   * other errors as they are.
   */
  located(id: ChunkId, error: unknown): unknown {
    if (!isLiifError(error, 'FormatError')) return error;
    const { byteOffset, reason } = error;
    const { byteOffset: start } = this.entries.at(chunkNumber(this.header, id));
    return new FormatError('chunk', start + byteOffset, reason, { cause: error });
  }

  /** The checked bytes of an ancillary section, or undefined if the file has none of this type. */
  async readSection(type: string, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const part = this.#sections.get(type);
    return part && this.#checked(part, signal);
  }

  /**
   * Reads the whole file from front to back in bounded memory and checks every CRC. Rejects with the first
   * fault.
   */
  async verify(onProgress?: (done: number, total: number) => void, signal?: AbortSignal): Promise<void> {
    let piece: Uint8Array = new Uint8Array();
    let pieceOffset = this.prefixLength;
    for (const { section, byteOffset, length, crc } of this.#parts()) {
      let found = 0;
      for (let at = byteOffset; at < byteOffset + length; ) {
        if (at === pieceOffset + piece.length) {
          const wanted = Math.min(PIECE, this.fileLength - at);
          piece = await this.source.getBytes(at, wanted, signal);
          pieceOffset = at;
          onProgress?.(at + piece.length, this.fileLength);
          if (piece.length === 0) throw endsEarly(section, byteOffset, at - byteOffset, length);
        }
        const part = piece.subarray(at - pieceOffset, byteOffset + length - pieceOffset);
        found = crcOf(part, found);
        at += part.length;
      }
      if (found !== crc) throw crcFault(section, byteOffset);
    }
    // A source that did not know its length on opening may have more to give.
    const { size } = this.source;
    const more = size ?? this.fileLength + (await this.source.getBytes(this.fileLength, 1, signal)).length;
    if (more > this.fileLength) throw trailing(this.fileLength);
  }

  close(): Promise<void> {
    return this.source.close();
  }

  /** Chunks and sections in the order of the file. */
  *#parts(): Generator<Part> {
    for (const entry of this.entries) yield { section: 'chunk', ...entry };
    yield* this.#sections.values();
  }

  async #checked({ section, byteOffset, length, crc }: Part, signal?: AbortSignal): Promise<Uint8Array> {
    // Opening has compared the size of the file, if the source knew it. Otherwise the stated length counts
    // only once bytes arrive.
    const bytes = await this.#reads.read(byteOffset, length, signal);
    if (bytes.length < length) throw endsEarly(section, byteOffset, bytes.length, length);
    if (crcOf(bytes) !== crc) throw crcFault(section, byteOffset);
    return bytes;
  }
}

/**
 * Reads and checks header and index: one read of 16 KiB (over HTTP 64 KiB), and the rest of the index where
 * it is longer. Spec 1.5. Rejects with FormatError, UnsupportedError or SourceError; the source stays open
 * then, and belongs to the reader otherwise.
 */
export async function openReader(source: Source, options: ReaderOptions = {}): Promise<Reader> {
  const { signal, maxChunks = MAX_CHUNKS } = options;
  const opened = await OpenedSource.open(source, signal);
  let bytes = opened.first;
  /** Makes `bytes` the first `length` bytes of the file; never asks for more than the file has. */
  const upTo = async (length: number, section: 'header' | 'index', from: number): Promise<void> => {
    if (bytes.length >= length) return;
    if (source.size !== undefined && source.size < length)
      throw endsEarly(section, from, source.size - from, length - from);
    bytes = joinBytes([bytes, await opened.getBytes(bytes.length, length - bytes.length, signal)]);
    if (bytes.length < length) throw endsEarly(section, from, bytes.length - from, length - from);
  };
  const headerLength = readPrefix(bytes);
  const headerEnd = PREFIX_LENGTH + headerLength;
  const indexOffset = headerEnd + CRC_LENGTH;
  await upTo(indexOffset, 'header', PREFIX_LENGTH);
  checkCrc(bytes, 0, headerEnd, 'header');
  const header = readHeader(bytes.subarray(PREFIX_LENGTH, headerEnd), PREFIX_LENGTH);
  const length = indexLength(header, PREFIX_LENGTH);
  if (chunkCount(header) > maxChunks)
    throw new UnsupportedError(`The file has ${chunkCount(header)} chunks; ${maxChunks} are allowed here`);
  const prefixLength = indexOffset + length + CRC_LENGTH;
  await upTo(prefixLength, 'index', indexOffset);
  checkCrc(bytes, indexOffset, indexOffset + length, 'index');
  const entries = readIndex(bytes.subarray(indexOffset, indexOffset + length), indexOffset, prefixLength);
  const reader = new Reader(opened, header, entries, prefixLength);
  checkSize(reader);
  return reader;
}

/** Magic, version, flags; returns the length of the header. Spec 1.2. */
function readPrefix(bytes: Uint8Array): number {
  const magic = bytes.subarray(0, MAGIC.length);
  if (magic.some((byte, i) => byte !== MAGIC[i]))
    throw new FormatError('prefix', 0, 'not a .liif file; liif encode makes one of an image');
  const reader = new ByteReader(bytes, () => endsEarly('prefix', 0, bytes.length, PREFIX_LENGTH));
  reader.readBytes(MAGIC.length);
  const version = reader.readUint16();
  if (version !== VERSION)
    throw new UnsupportedError(
      `The file has version ${version} of the format; this decoder knows ${VERSION}`,
    );
  const flags = reader.readUint16();
  if (flags !== 0)
    throw new UnsupportedError(`The file needs features (0x${flags.toString(16)}) of a later version`);
  const at = reader.offset;
  const headerLength = reader.readUint32();
  if (headerLength < 1 || headerLength > MAX_HEADER_LENGTH)
    throw new FormatError(
      'prefix',
      at,
      `a header of ${headerLength} bytes is not between 1 and ${MAX_HEADER_LENGTH}`,
    );
  return headerLength;
}

/** Throws FormatError unless the file ends with its last section, if the source knows its size. */
function checkSize({ source: { size }, entries, fileLength }: Reader): void {
  if (size === undefined || size === fileLength) return;
  if (size > fileLength) throw trailing(fileLength);
  for (const { byteOffset, length } of entries)
    if (byteOffset + length > size) throw endsEarly('chunk', byteOffset, size - byteOffset, length);
  throw new FormatError('section', size, `the file ends after ${size} of ${fileLength} bytes`);
}

/** Checks the CRC at `to`, of the bytes from .. to-1. The CRC of the header covers the prefix, too. */
function checkCrc(bytes: Uint8Array, from: number, to: number, section: 'header' | 'index'): void {
  const stored = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(to, true);
  if (crcOf(bytes.subarray(from, to)) !== stored) throw crcFault(section, Math.max(PREFIX_LENGTH, from));
}

function crcFault(section: 'header' | 'index' | 'chunk' | 'section', byteOffset: number): FormatError {
  return new FormatError(section, byteOffset, 'the CRC does not fit the bytes: the file is damaged');
}

function endsEarly(
  section: 'prefix' | 'header' | 'index' | 'chunk' | 'section',
  byteOffset: number,
  found: number,
  wanted: number,
): FormatError {
  return new FormatError(section, byteOffset, `the file ends after ${found} of its ${wanted} bytes`);
}

function trailing(byteOffset: number): FormatError {
  return new FormatError('section', byteOffset, 'bytes follow the end of the file');
}
