import { isLiifError, RequestError } from '../errors.ts';
import { joinBytes } from '../join-bytes.ts';
import { modelConvs, type Network } from './convs.ts';
import type { ConvValues } from './integer-conv.ts';
import { loadModel, parseModel } from './load.ts';
import type { CdfTables, Head } from './model.ts';
import { headerEnd, parseHeader } from './safetensors.ts';
import { sha256 } from './sha256.ts';

/** What becomes of a model. Whatever is left out stays. */
export interface ModelChanges {
  /** `[a-z0-9.-]{1,64}`. The hash does not cover it. */
  readonly name: string;
  /** One for each of `modelConvs`, of the same lengths. */
  readonly convs: readonly ConvValues[];
  readonly tables?: CdfTables;
  readonly head?: Pick<Head, 'outputWeight' | 'outputBias' | 'outputShift'>;
  /**
   * Where the weights come from, as JSON: joins the graph's `provenance`. Decoders ignore it; the hash covers
   * it.
   */
  readonly provenance?: Readonly<Record<string, unknown>>;
}

/** As much of a graph (spec 3.2) as may change here; its other keys stay as they are. */
interface GraphJson extends Network<ConvJson> {
  readonly tables: Record<'start' | 'frequency' | 'minimum' | 'rawBits', string> & { precision: number };
  readonly head: Record<'outputWeight' | 'outputBias', string> & { outputShift: number };
  provenance?: unknown;
}

interface ConvJson {
  readonly op: 'conv';
  readonly weight: string;
  readonly bias: string;
  shift: number;
}

interface TensorEntry {
  readonly dtype: 'I16' | 'I32';
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/**
 * A model file with the graph of another, `base`, and new values. With the base's own values and name it has
 * the base's graph, tensors and hash. The result loads: bounds (spec 3.8) and tables (3.9) are proved here.
 * Rejects with FormatError where `base` is no model file, with RequestError where the changes do not fit it.
 */
export async function rewriteModel(base: Uint8Array, changes: ModelChanges): Promise<Uint8Array> {
  await loadModel(base);
  const { metadata, tensors } = openFile(base);
  const graph = JSON.parse(metadata.get('graph')!) as GraphJson;
  const unchanged = JSON.stringify(graph);

  const replace = (name: string, data: Int16Array | Int32Array, resizable = false) => {
    const { dtype, shape } = tensors.get(name)!;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const length = shape.reduce((product, size) => product * size, 1);
    if (data.length !== length && !resizable)
      throw new RequestError(`Expected ${length} values of ${name} but received ${data.length}`);
    tensors.set(name, { dtype, shape: resizable ? [data.length] : shape, bytes });
  };
  const convs = modelConvs(graph);
  if (changes.convs.length !== convs.length)
    throw new RequestError(`Expected ${convs.length} convolutions but received ${changes.convs.length}`);
  for (const [i, conv] of convs.entries()) {
    const { weight, bias, shift } = changes.convs[i]!;
    replace(conv.weight, weight);
    replace(conv.bias, bias);
    conv.shift = shift;
  }
  if (changes.tables) {
    for (const key of ['start', 'frequency', 'minimum', 'rawBits'] as const)
      replace(graph.tables[key], changes.tables[key], true);
    graph.tables.precision = changes.tables.precision;
  }
  if (changes.head) {
    replace(graph.head.outputWeight, changes.head.outputWeight);
    replace(graph.head.outputBias, changes.head.outputBias);
    graph.head.outputShift = changes.head.outputShift;
  }
  if (changes.provenance) graph.provenance = { ...asObject(graph.provenance), ...changes.provenance };

  // The same graph may have another text.
  const text = JSON.stringify(graph);
  if (text !== unchanged) metadata.set('graph', text);
  metadata.set('name', changes.name);
  const file = await writeFile(metadata, tensors);
  try {
    parseModel(file);
  } catch (cause) {
    if (isLiifError(cause, 'FormatError'))
      throw new RequestError(`The changes do not fit the model: ${cause.message}`, { cause });
    throw cause;
  }
  return file;
}

function openFile(file: Uint8Array): { metadata: Map<string, string>; tensors: Map<string, TensorEntry> } {
  const header = parseHeader(file.subarray(0, headerEnd(file)));
  const tensors = new Map<string, TensorEntry>();
  for (const [name, { dtype, shape, byteOffset, byteLength }] of header.tensors)
    tensors.set(name, { dtype, shape, bytes: file.subarray(byteOffset, byteOffset + byteLength) });
  return { metadata: new Map(header.metadata), tensors };
}

/** `tensors` in the order of their names. Sets the hash. */
async function writeFile(
  metadata: Map<string, string>,
  tensors: ReadonlyMap<string, TensorEntry>,
): Promise<Uint8Array> {
  const entries: [string, unknown][] = [];
  let size = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    entries.push([name, { dtype, shape, data_offsets: [size, size + bytes.length] }]);
    size += bytes.length;
  }
  const data = joinBytes([...tensors.values()].map(({ bytes }) => bytes));
  const encoder = new TextEncoder();
  metadata.set('hash', await sha256(joinBytes([encoder.encode(metadata.get('graph')), data])));
  const header = Object.fromEntries([['__metadata__', Object.fromEntries(metadata)], ...entries]);
  const json = encoder.encode(JSON.stringify(header));
  const padded = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  padded.set(json, 8);
  return joinBytes([padded, data]);
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}
