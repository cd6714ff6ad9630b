import { FormatError, RequestError } from '../errors.ts';
import { joinBytes } from '../join-bytes.ts';
import { type ChunkEntry, chunkCount, indexLength, writeIndex } from './chunks.ts';
import { crcOf } from './crc32c.ts';
import { ByteWriter } from './cursor.ts';
import { type Header, readHeader } from './header.ts';
import { CRC_LENGTH, MAGIC, MAX_CHUNKS, MAX_SECTION_LENGTH, PREFIX_LENGTH, VERSION } from './layout.ts';
import { writeHeader } from './write-header.ts';

/**
 * Where an encoder puts a file. It appends bytes in order and, at the end, writes the index once into the
 * place that it left free.
 */
export interface Sink {
  /**
   * Appends bytes. Copy them if they are needed later: the encoder may reuse their memory once the promise
   * resolves.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Replaces bytes that were written before, from `byteOffset` of the file on. */
  writeAt(byteOffset: number, bytes: Uint8Array): Promise<void>;
}

/** A file in memory. */
export class MemorySink implements Sink {
  readonly #parts: Uint8Array[] = [];

  async write(bytes: Uint8Array): Promise<void> {
    // Not `slice`: that of a Buffer is a view.
    this.#parts.push(new Uint8Array(bytes));
  }

  async writeAt(byteOffset: number, bytes: Uint8Array): Promise<void> {
    let start = 0;
    for (const part of this.#parts) {
      const from = Math.max(byteOffset, start);
      const to = Math.min(byteOffset + bytes.length, start + part.length);
      if (from < to) part.set(bytes.subarray(from - byteOffset, to - byteOffset), from - start);
      start += part.length;
    }
  }

  /** A copy of all that was written. */
  bytes(): Uint8Array {
    return joinBytes(this.#parts);
  }
}

/**
 * Writes a file from front to back: `begin`, `appendChunk` for every chunk in the order of the index, `end`.
 * Spec 1.2.
 */
export class ContainerWriter {
  readonly #sink: Sink;
  readonly #entries: ChunkEntry[] = [];
  readonly #sections: readonly Uint8Array[];
  readonly #indexOffset: number;
  readonly #chunks: number;
  #offset: number;

  private constructor(sink: Sink, header: Header, sections: readonly Uint8Array[], indexOffset: number) {
    this.#sink = sink;
    this.#sections = sections;
    this.#indexOffset = indexOffset;
    this.#chunks = chunkCount(header);
    this.#offset = indexOffset + indexLength(header, PREFIX_LENGTH) + CRC_LENGTH;
  }

  /**
   * Writes everything before the first chunk. `sections`: types and bytes, which replace `header.sections`.
   * Rejects with RequestError, before anything is written, for a header that no reader would accept.
   */
  static async begin(
    sink: Sink,
    header: Header,
    sections: readonly (readonly [string, Uint8Array])[],
  ): Promise<ContainerWriter> {
    for (const [type, bytes] of sections)
      if (bytes.length > MAX_SECTION_LENGTH)
        throw new RequestError(
          `The ${type} section has ${bytes.length} bytes, more than ${MAX_SECTION_LENGTH}`,
        );
    const packed = writeHeader({
      ...header,
      sections: sections.map(([type, bytes]) => ({ type, length: bytes.length, crc: crcOf(bytes) })),
    });
    checkHeader(packed);
    if (chunkCount(header) > MAX_CHUNKS)
      throw new RequestError(
        `A picture of ${header.width} x ${header.height} pixels has too many chunks of ${header.chunkSize} latents; take larger ones`,
      );
    const prefix = new ByteWriter(PREFIX_LENGTH + packed.length + CRC_LENGTH);
    prefix.writeBytes(MAGIC);
    prefix.writeUint16(VERSION);
    prefix.writeUint16(0);
    prefix.writeUint32(packed.length);
    prefix.writeBytes(packed);
    prefix.writeUint32(crcOf(prefix.bytes.subarray(0, prefix.offset)));
    await sink.write(prefix.bytes);
    const writer = new ContainerWriter(
      sink,
      header,
      sections.map(([, bytes]) => bytes),
      prefix.bytes.length,
    );
    await sink.write(new Uint8Array(writer.#offset - prefix.bytes.length));
    return writer;
  }

  /** Writes the next chunk in the order of the index. */
  async appendChunk(bytes: Uint8Array): Promise<void> {
    if (this.#entries.length >= this.#chunks)
      throw new Error(`${this.#chunks} chunks have been written already`);
    this.#entries.push({ byteOffset: this.#offset, length: bytes.length, crc: crcOf(bytes) });
    this.#offset += bytes.length;
    await this.#sink.write(bytes);
  }

  /** Writes sections and index. Returns the size of the file. */
  async end(): Promise<number> {
    if (this.#entries.length !== this.#chunks)
      throw new Error(`${this.#entries.length} of ${this.#chunks} chunks were written`);
    for (const bytes of this.#sections) {
      await this.#sink.write(bytes);
      this.#offset += bytes.length;
    }
    const index = writeIndex(this.#entries);
    const written = new ByteWriter(index.length + CRC_LENGTH);
    written.writeBytes(index);
    written.writeUint32(crcOf(index));
    await this.#sink.writeAt(this.#indexOffset, written.bytes);
    return this.#offset;
  }
}

/** Throws RequestError for a header that a reader would refuse. */
function checkHeader(packed: Uint8Array): void {
  try {
    readHeader(packed, PREFIX_LENGTH);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new RequestError(`The file cannot be written: ${cause.message}`, { cause });
  }
}
