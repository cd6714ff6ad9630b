import { FormatError } from '../errors.ts';
import { joinBytes } from '../join-bytes.ts';
import { inParallel } from '../parallel.ts';
import { parseModel } from './load.ts';
import type { Model } from './model.ts';
import { entriesOf, headerEnd, parseHeader, parseJson } from './safetensors.ts';
import { sha256 } from './sha256.ts';

/**
 * Models without the half that only encoders need. The hash that a .liif file names covers the whole model
 * file and cannot be checked on a part. The part has a hash of its own, the decoder hash: SHA-256 of the
 * bytes up to the end of the JSON and of the tensors that decoding needs, in the order of the file. The JSON
 * holds the hash of the model, so a part with the right decoder hash belongs to the right model.
 */

/** Bytes of a model file; fewer at its end. */
export type ReadRange = (offset: number, length: number, signal?: AbortSignal) => Promise<Uint8Array>;

/**
 * Keeps weights between visits, by decoder hash. Its methods must not reject: weights that cannot be kept are
 * loaded again.
 */
export interface ModelCache {
  /** The bytes that `put` was given for this hash, or undefined. They are checked against the hash. */
  get(decoderHash: string): Promise<Uint8Array | undefined>;
  /** Keeps the decoder's part of a model. */
  put(decoderHash: string, part: Uint8Array): Promise<void>;
}

export interface DecoderModelOptions {
  readonly decoderHash: string;
  readonly cache?: ModelCache;
  readonly signal?: AbortSignal;
  /** Bytes that have been read, and all that will be; not called where the cache has them. */
  readonly onProgress?: (loaded: number, total: number) => void;
}

/** The JSON of the released model has 28 KiB. */
const FIRST_READ = 65_536;
/**
 * Bytes of one request, and requests at a time: small enough to show progress, and to repeat a failed one
 * quickly.
 */
const PIECE_BYTES = 2 ** 20;
const PARALLEL_READS = 4;

/**
 * Reads what decoding needs of a model file, by ranges, and checks it. The model's `analysis` and
 * `hyperAnalysis` are empty: engines reject encoding with it. Rejects with FormatError, section `model`, and
 * with what `read` rejects with.
 */
export async function loadDecoderModel(read: ReadRange, options: DecoderModelOptions): Promise<Model> {
  const { decoderHash, cache, signal, onProgress } = options;
  const cached = await cache?.get(decoderHash);
  if (cached && (await sha256(cached)) === decoderHash) return modelOfPart(cached);
  const part = await readPart(read, signal, onProgress);
  const actual = await sha256(part);
  if (actual !== decoderHash)
    throw new FormatError('model', 0, `its decoder hash is ${actual}, but ${decoderHash} is needed`);
  await cache?.put(decoderHash, part);
  return modelOfPart(part);
}

/** The decoder hash of a model file. */
export async function decoderHashOf(file: Uint8Array): Promise<string> {
  return sha256(await decoderPartOf(file));
}

/**
 * Of a model file the bytes that decoding needs, one after the other. Rejects with FormatError where it is
 * none.
 */
export function decoderPartOf(file: Uint8Array): Promise<Uint8Array> {
  return readPart(async (offset, length) => file.subarray(offset, offset + length));
}

/** JSON and tensors that decoding needs, one after the other. */
async function readPart(
  read: ReadRange,
  signal?: AbortSignal,
  onProgress?: DecoderModelOptions['onProgress'],
): Promise<Uint8Array> {
  let head = await read(0, FIRST_READ, signal);
  const end = headerEnd(head);
  if (head.length < end) {
    const rest = await read(head.length, end - head.length, signal);
    head = joinBytes([head, rest]);
    if (head.length < end) throw new FormatError('model', head.length, 'the file ends within its header');
  }
  const header = head.subarray(0, end);
  const parts: Uint8Array[] = [header];
  const pieces: (ByteRange & { readonly part: number })[] = [];
  let total = end;
  for (const { from, to } of decoderRanges(header)) {
    total += to - from;
    for (let at = from; at < to; at += PIECE_BYTES)
      pieces.push({ from: at, to: Math.min(to, at + PIECE_BYTES), part: pieces.length + 1 });
  }
  let loaded = end;
  onProgress?.(loaded, total);
  await inParallel(PARALLEL_READS, pieces, async ({ from, to, part }) => {
    const bytes = await read(from, to - from, signal);
    if (bytes.length < to - from)
      throw new FormatError('model', from + bytes.length, 'the file ends within its tensors');
    parts[part] = bytes;
    loaded += bytes.length;
    onProgress?.(loaded, total);
  });
  return joinBytes(parts);
}

/**
 * A model of a part: its bytes are put where they lie in the file, with nothing but zeros between, which
 * nobody reads.
 */
function modelOfPart(part: Uint8Array): Model {
  const header = part.subarray(0, headerEnd(part));
  const { fileLength } = parseHeader(header);
  const file = new Uint8Array(fileLength);
  file.set(header);
  let at = header.length;
  for (const { from, to } of decoderRanges(header)) {
    file.set(part.subarray(at, at + to - from), from);
    at += to - from;
  }
  return parseModel(file, { decoderOnly: true });
}

interface ByteRange {
  from: number;
  readonly to: number;
}

/**
 * Where the tensors lie that the graph names outside of `analysis` and `hyperAnalysis`, joined where they
 * touch.
 */
function decoderRanges(header: Uint8Array): ByteRange[] {
  const { metadata, tensors } = parseHeader(header);
  const names = new Set<string>();
  for (const [key, value] of entriesOf(parseJson(metadata.get('graph') ?? '', 'the graph'), 'graph'))
    if (key !== 'analysis' && key !== 'hyperAnalysis') collectStrings(value, names);
  const ranges: { from: number; to: number }[] = [];
  for (const [name, { byteOffset, byteLength }] of tensors) {
    if (!names.has(name)) continue;
    const last = ranges.at(-1);
    if (last?.to === byteOffset) last.to += byteLength;
    else ranges.push({ from: byteOffset, to: byteOffset + byteLength });
  }
  return ranges;
}

function collectStrings(value: unknown, into: Set<string>): void {
  if (typeof value === 'string') into.add(value);
  else if (typeof value === 'object' && value !== null)
    for (const item of Object.values(value)) collectStrings(item, into);
}
