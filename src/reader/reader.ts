import {
  type ChunkEntry,
  type ChunkId,
  chunkCount,
  chunkNumber,
  indexLength,
  readIndex,
} from '../container/chunks.ts';
import { crcOf } from '../container/crc32c.ts';
import { ByteReader } from '../container/cursor.ts';
import { type Header, readHeader, type SectionEntry } from '../container/header.ts';
import { CRC_LENGTH, MAGIC, MAX_HEADER_LENGTH, PREFIX_LENGTH, VERSION } from '../container/layout.ts';
import { FormatError, UnsupportedError } from '../errors.ts';
import type { Source } from './source.ts';

/** Most files show header and index in their first 16 KiB. */
const FIRST_READ = 16_384;
/** A CRC over a chunk or section is checked in pieces of at most this size by `verify`. */
const PIECE = 2 ** 20;

/** An opened file: its header and index, and its chunks as they are asked for. */
export class Reader {
  readonly source: Source;
  readonly header: Header;
  readonly entries: readonly ChunkEntry[];
  /** Bytes before the first chunk. */
  readonly prefixLength: number;
  /** Size of the whole file, as header and index imply it. */
  readonly fileLength: number;
  /** Bytes asked of the source so far. */
  bytesRead: number;
  readonly #sections: ReadonlyMap<string, SectionEntry & { byteOffset: number }>;

  constructor(
    source: Source,
    header: Header,
    entries: readonly ChunkEntry[],
    prefixLength: number,
    bytesRead: number,
  ) {
    this.source = source;
    this.header = header;
    this.entries = entries;
    this.prefixLength = prefixLength;
    this.bytesRead = bytesRead;
    const last = entries.at(-1);
    let end = last ? last.byteOffset + last.length : prefixLength;
    const sections = new Map<string, SectionEntry & { byteOffset: number }>();
    for (const section of header.sections) {
      sections.set(section.type, { ...section, byteOffset: end });
      end += section.length;
    }
    this.#sections = sections;
    this.fileLength = end;
  }

  /** The checked bytes of a chunk. Rejects with FormatError when its CRC does not fit, with SourceError when it does not arrive. */
  async readChunk(id: ChunkId, signal?: AbortSignal): Promise<Uint8Array> {
    const entry = this.entries[chunkNumber(this.header, id)]!;
    return this.#checked('chunk', entry, signal);
  }

  /** The checked bytes of an ancillary section, or undefined if the file has none of this type. */
  async readSection(type: string, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const section = this.#sections.get(type);
    return section && this.#checked('section', section, signal);
  }

  /** Reads the whole file and checks every CRC, in bounded memory. Rejects with the first fault. */
  async verify(onProgress?: (done: number, total: number) => void, signal?: AbortSignal): Promise<void> {
    const parts = [
      ...this.entries.map((entry) => ({ section: 'chunk' as const, ...entry })),
      ...[...this.#sections.values()].map((entry) => ({ section: 'section' as const, ...entry })),
    ];
    for (const { section, byteOffset, length, crc } of parts) {
      let found = 0;
      for (let at = 0; at < length; at += PIECE) {
        const wanted = Math.min(PIECE, length - at);
        found = crcOf(await this.#read(section, byteOffset + at, wanted, signal), found);
        onProgress?.(byteOffset + at + wanted, this.fileLength);
      }
      if (found !== crc) throw crcFault(section, byteOffset);
    }
  }

  close(): Promise<void> {
    return this.source.close();
  }

  async #checked(section: 'chunk' | 'section', entry: ChunkEntry, signal?: AbortSignal): Promise<Uint8Array> {
    const bytes = await this.#read(section, entry.byteOffset, entry.length, signal);
    if (crcOf(bytes) !== entry.crc) throw crcFault(section, entry.byteOffset);
    return bytes;
  }

  async #read(
    section: 'chunk' | 'section',
    byteOffset: number,
    length: number,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    // Where the source knew its size, opening has compared it; elsewhere a stranger's length is not believed before bytes come.
    const bytes = await this.source.getBytes(byteOffset, length, signal);
    this.bytesRead += bytes.length;
    if (bytes.length < length)
      throw new FormatError(section, byteOffset, `the file ends after ${bytes.length} of ${length} bytes`);
    return bytes;
  }
}

/** Reads and checks header and index: one read of 16 KiB, and the rest of the index where it is longer. Spec 1.5. */
export async function openReader(
  source: Source,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Reader> {
  const { signal } = options;
  let bytes = await source.getBytes(0, FIRST_READ, signal);
  let bytesRead = bytes.length;
  /** The first `length` bytes of the file; never asks for more than the file has. */
  const upTo = async (length: number, section: 'header' | 'index'): Promise<void> => {
    if (bytes.length >= length) return;
    const ended = (size: number) =>
      new FormatError(section, size, `the file ends after ${size} of ${length} bytes`);
    if (source.size !== undefined && source.size < length) throw ended(source.size);
    const rest = await source.getBytes(bytes.length, length - bytes.length, signal);
    bytesRead += rest.length;
    if (bytes.length + rest.length < length) throw ended(bytes.length + rest.length);
    const joined = new Uint8Array(length);
    joined.set(bytes);
    joined.set(rest, bytes.length);
    bytes = joined;
  };
  const headerLength = readPrefix(bytes);
  const indexOffset = PREFIX_LENGTH + headerLength + CRC_LENGTH;
  await upTo(indexOffset, 'header');
  checkCrc(bytes, 0, PREFIX_LENGTH + headerLength, 'header');
  const header = readHeader(bytes.subarray(PREFIX_LENGTH, PREFIX_LENGTH + headerLength), PREFIX_LENGTH);
  const length = indexLength(header, PREFIX_LENGTH);
  const prefixLength = indexOffset + length + CRC_LENGTH;
  await upTo(prefixLength, 'index');
  checkCrc(bytes, indexOffset, indexOffset + length, 'index');
  const entries = readIndex(bytes.subarray(indexOffset, indexOffset + length), indexOffset, prefixLength);
  const reader = new Reader(source, header, entries, prefixLength, bytesRead);
  if (entries.length !== chunkCount(header)) throw new Error('the index does not match the header');
  const { size } = source;
  if (size !== undefined && size !== reader.fileLength)
    throw size < reader.fileLength
      ? new FormatError('chunk', size, `the file ends after ${size} of ${reader.fileLength} bytes`)
      : new FormatError(
          'section',
          reader.fileLength,
          `${size - reader.fileLength} bytes follow the end of the file`,
        );
  return reader;
}

/** Magic, version, flags; returns the length of the header. Spec 1.2. */
function readPrefix(bytes: Uint8Array): number {
  const reader = new ByteReader(
    bytes,
    () =>
      new FormatError('prefix', bytes.length, `the file ends after ${bytes.length} bytes; not a .liif file`),
  );
  const magic = reader.readBytes(Math.min(MAGIC.length, bytes.length));
  if (magic.some((byte, i) => byte !== MAGIC[i])) throw new FormatError('prefix', 0, 'not a .liif file');
  if (magic.length < MAGIC.length) reader.readBytes(1); // throws: the file ends here
  const version = reader.readUint16();
  const flags = reader.readUint16();
  const headerLength = reader.readUint32();
  if (version !== VERSION)
    throw new UnsupportedError(
      `The file has version ${version} of the format; this decoder knows ${VERSION}`,
    );
  if (flags !== 0)
    throw new UnsupportedError(`The file needs features (0x${flags.toString(16)}) of a later version`);
  if (headerLength < 1 || headerLength > MAX_HEADER_LENGTH)
    throw new FormatError(
      'prefix',
      12,
      `a header of ${headerLength} bytes is not between 1 and ${MAX_HEADER_LENGTH}`,
    );
  return headerLength;
}

function checkCrc(bytes: Uint8Array, from: number, to: number, section: 'header' | 'index'): void {
  const stored = new ByteReader(
    bytes.subarray(to),
    () => new FormatError(section, to, 'the CRC is missing'),
  ).readUint32();
  if (crcOf(bytes.subarray(from, to)) !== stored) throw crcFault(section, from);
}

function crcFault(section: 'header' | 'index' | 'chunk' | 'section', byteOffset: number): FormatError {
  return new FormatError(section, byteOffset, 'the CRC does not fit the bytes: the file is damaged');
}
