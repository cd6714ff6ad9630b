import { cut, FormatError, shown } from '../errors.ts';

/** Bounds on what a model file may ask for, before anything is reserved. Spec 3.2. */
export const MAX_MODEL_BYTES = 2 ** 28;
const MAX_HEADER_BYTES = 2 ** 20;
const MAX_NESTING = 100;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** One tensor of a safetensors file; `byteOffset` counts from the start of the file. */
export interface StoredTensor {
  readonly dtype: 'I16' | 'I32';
  readonly shape: readonly number[];
  readonly byteOffset: number;
  readonly byteLength: number;
}

/**
 * The integer tensors of a safetensors file (https://github.com/huggingface/safetensors) as spec 3.2
 * restricts it. Reading a tensor checks its type and shape. All errors are FormatError, section `model`.
 */
export class TensorFile {
  readonly metadata: ReadonlyMap<string, string>;
  /** Everything behind the JSON. */
  readonly data: Uint8Array;
  readonly #bytes: Uint8Array;
  readonly #tensors: ReadonlyMap<string, StoredTensor>;
  readonly #unread: Set<string>;

  constructor(bytes: Uint8Array) {
    const start = headerEnd(bytes, bytes.length);
    const { metadata, tensors, fileLength } = parseHeader(bytes.subarray(0, start));
    if (fileLength !== bytes.length) {
      throw fault(
        start,
        `tensors of ${fileLength - start} bytes in a data section of ${bytes.length - start}`,
      );
    }
    this.#bytes = bytes;
    this.data = bytes.subarray(start);
    this.metadata = metadata;
    this.#tensors = tensors;
    this.#unread = new Set(this.#tensors.keys());
  }

  int16(name: string, shape: readonly number[]): Int16Array {
    return new Int16Array(this.#read(name, 'I16', shape));
  }

  int32(name: string, shape: readonly number[]): Int32Array {
    return new Int32Array(this.#read(name, 'I32', shape));
  }

  /** Throws a fault that names the tensor's place in the file. */
  refuse(name: string, problem: string): never {
    throw fault(this.#tensor(name).byteOffset, `tensor ${name}: ${problem}`);
  }

  shapeOf(name: string): readonly number[] {
    return this.#tensor(name).shape;
  }

  /** Refuses tensors that nothing has read: with them, equal hashes would not mean equal models. */
  refuseUnread(): void {
    for (const name of this.#unread) this.refuse(name, 'the graph does not name it');
  }

  #read(name: string, dtype: 'I16' | 'I32', shape: readonly number[]): ArrayBuffer {
    const tensor = this.#tensor(name);
    if (tensor.dtype !== dtype) this.refuse(name, `expected ${dtype} but received ${tensor.dtype}`);
    if (tensor.shape.length !== shape.length || shape.some((size, i) => size !== tensor.shape[i])) {
      this.refuse(name, `expected shape [${shape}] but received [${tensor.shape}]`);
    }
    // Otherwise a small file could stand for a model of any size.
    if (!this.#unread.delete(name)) this.refuse(name, 'the graph names it twice');
    // Copied, since tensors of different widths follow each other without regard to alignment. Not by
    // `slice`: a Buffer's shares memory.
    return new Uint8Array(this.#bytes.subarray(tensor.byteOffset, tensor.byteOffset + tensor.byteLength))
      .buffer;
  }

  #tensor(name: string): StoredTensor {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw fault(8, `there is no tensor ${shown(name)}`);
    return tensor;
  }
}

/** What stands before the data: length and JSON, taken apart. */
export interface TensorFileHeader {
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of the file. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly fileLength: number;
}

/** Where the JSON ends, from the first bytes of a file of at most `fileLength` bytes. */
export function headerEnd(bytes: Uint8Array, fileLength = MAX_MODEL_BYTES): number {
  if (bytes.length < 8) throw fault(0, `expected at least 8 bytes but the file has ${bytes.length}`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(Math.min(MAX_HEADER_BYTES, fileLength - 8)))
    throw fault(0, `a header of ${length} bytes`);
  return 8 + Number(length);
}

/** `bytes`: all up to the end of the JSON. */
export function parseHeader(bytes: Uint8Array): TensorFileHeader {
  const header = entriesOf(parseJson(bytes.subarray(8), 'the header'), 'the header');
  const metadata = readMetadata(header);
  const tensors = readTensors(header, bytes.length);
  const fileLength = [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, bytes.length);
  if (fileLength > MAX_MODEL_BYTES)
    throw fault(8, `tensors up to byte ${fileLength}, beyond ${MAX_MODEL_BYTES}`);
  return { metadata, tensors, fileLength };
}

function fault(byteOffset: number, message: string, cause?: unknown): FormatError {
  return new FormatError('model', byteOffset, message, cause === undefined ? undefined : { cause });
}

/**
 * The value of a JSON text that nests at most 100 deep, so that recursion can follow it. `what`: the text's
 * name in messages.
 */
export function parseJson(text: string | Uint8Array, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(typeof text === 'string' ? text : UTF8.decode(text));
  } catch (cause) {
    throw fault(8, `${what} is not JSON`, cause);
  }
  if (nests(value, MAX_NESTING)) throw fault(8, `${what} nests more than ${MAX_NESTING} deep`);
  return value;
}

/** Whether there are objects and arrays within each other, more than `levels` deep. */
function nests(value: unknown, levels: number): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    (levels === 0 || Object.values(value).some((item) => nests(item, levels - 1)))
  );
}

/** A value that JSON has, in messages. */
export function jsonText(value: unknown): string {
  return cut(`${JSON.stringify(value)}`);
}

/** Own entries of a JSON object. A map, so that a key such as `__proto__` is one key among others. */
export function entriesOf(value: unknown, what: string): Map<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fault(8, `${what} is not a JSON object`);
  }
  return new Map(Object.entries(value));
}

function readMetadata(header: Map<string, unknown>): Map<string, string> {
  const metadata = new Map<string, string>();
  for (const [key, value] of entriesOf(header.get('__metadata__'), '__metadata__')) {
    if (typeof value !== 'string') throw fault(8, `__metadata__.${cut(key)} is not a string`);
    // They have no UTF-8, so a hash would not cover them.
    if (/\p{Surrogate}/u.test(value)) throw fault(8, `__metadata__.${cut(key)} has an unpaired surrogate`);
    metadata.set(key, value);
  }
  return metadata;
}

function readTensors(header: Map<string, unknown>, start: number): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  const names = [...header.keys()].filter((name) => name !== '__metadata__').sort();
  let expected = 0;
  for (const name of names) {
    if (!/^[!-~]{1,128}$/.test(name)) throw fault(8, `tensor name ${shown(name)}`);
    const entry = entriesOf(header.get(name), `tensor ${name}`);
    const dtype = entry.get('dtype');
    if (dtype !== 'I16' && dtype !== 'I32') {
      throw fault(8, `tensor ${name}: expected dtype I16 or I32 but received ${jsonText(dtype)}`);
    }
    const shape = naturals(entry.get('shape'), `tensor ${name}: shape`);
    if (shape.length < 1 || shape.length > 4) throw fault(8, `tensor ${name}: ${shape.length} dimensions`);
    const byteLength = shape.reduce((product, size) => product * size, dtype === 'I16' ? 2 : 4);
    const offsets = naturals(entry.get('data_offsets'), `tensor ${name}: data_offsets`);
    if (offsets.length !== 2 || offsets[0] !== expected || offsets[1] !== expected + byteLength) {
      throw fault(
        8,
        `tensor ${name}: expected data_offsets [${expected},${expected + byteLength}] but received ${jsonText(offsets)}`,
      );
    }
    tensors.set(name, { dtype, shape, byteOffset: start + expected, byteLength });
    expected += byteLength;
  }
  return tensors;
}

function naturals(value: unknown, what: string): number[] {
  if (!Array.isArray(value) || value.some((v) => !Number.isSafeInteger(v) || v < 0 || v > MAX_MODEL_BYTES)) {
    throw fault(8, `${what} is not a list of sizes`);
  }
  return value as number[];
}
