/** Reads little-endian fields one after the other; reading past the end throws what `outOfBytes` makes. */
export class ByteReader {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #outOfBytes: (offset: number, wanted: number) => Error;
  offset = 0;

  constructor(bytes: Uint8Array, outOfBytes: (offset: number, wanted: number) => Error) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#outOfBytes = outOfBytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.offset;
  }

  readUint8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  readUint16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  readUint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  /** As a bigint: a stranger's 64-bit number need not fit a double. */
  readUint64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }
  /** A view, not a copy. */
  readBytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  #take(length: number): number {
    const start = this.offset;
    if (length > this.#bytes.length - start) throw this.#outOfBytes(start, length);
    this.offset = start + length;
    return start;
  }
}

/** Writes little-endian fields into an array of known length. */
export class ByteWriter {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  offset = 0;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.#view = new DataView(this.bytes.buffer);
  }

  writeUint16(value: number): void {
    this.#view.setUint16(this.offset, value, true);
    this.offset += 2;
  }
  writeUint32(value: number): void {
    this.#view.setUint32(this.offset, value, true);
    this.offset += 4;
  }
  writeUint64(value: number): void {
    this.#view.setBigUint64(this.offset, BigInt(value), true);
    this.offset += 8;
  }
  writeBytes(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.offset);
    this.offset += bytes.length;
  }
}
