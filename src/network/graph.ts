import { FormatError } from '../errors.ts';
import { checkConv, checkRow, type Limits } from './bounds.ts';
import { type Flow, outputLimits, through } from './flow.ts';
import type { Conv, Layer, Residual, Row } from './model.ts';
import { entriesOf, jsonText, parseJson, type TensorFile } from './safetensors.ts';

export const MAX_CHANNELS = 4096;
const MAX_LAYERS = 64;
const MAX_LIMIT = 32767;

/** Layers that were read, and what they make of their input. */
export interface Stage {
  readonly layers: readonly Layer[];
  readonly output: Flow;
}

export function openGraph(text: string | undefined, file: TensorFile): Fields {
  return new Fields(parseJson(text ?? '', 'the graph'), 'graph', file);
}

/** An object of the graph, read field by field; every error names the field's path. */
export class Fields {
  readonly path: string;
  readonly #entries: Map<string, unknown>;
  readonly #file: TensorFile;

  constructor(value: unknown, path: string, file: TensorFile) {
    this.path = path;
    this.#file = file;
    this.#entries = entriesOf(value, path);
  }

  refuse(key: string, problem: string): never {
    throw new FormatError('model', 8, `${this.path}.${key}: ${problem}`);
  }

  /** A refusal of the values of the tensor that `key` names. */
  refuseTensor(key: string, problem: string): never {
    return this.#file.refuse(this.string(key), problem);
  }

  integer(key: string, low: number, high: number, multipleOf = 1): number {
    const value = this.#entries.get(key);
    if (typeof value === 'number' && value >= low && value <= high && value % multipleOf === 0) return value;
    const range = low === high ? `${low}` : `${low} to ${high}`;
    const multiple = multipleOf === 1 ? '' : `, a multiple of ${multipleOf}`;
    return this.refuse(key, `expected ${range}${multiple} but received ${jsonText(value)}`);
  }

  limit(): number {
    return this.integer('limit', 1, MAX_LIMIT);
  }

  boolean(key: string): boolean {
    const value = this.#entries.get(key);
    if (typeof value === 'boolean') return value;
    return this.refuse(key, `expected true or false but received ${jsonText(value)}`);
  }

  string(key: string): string {
    const value = this.#entries.get(key);
    if (typeof value === 'string') return value;
    return this.refuse(key, `expected a string but received ${jsonText(value)}`);
  }

  object(key: string): Fields {
    return new Fields(this.#entries.get(key), `${this.path}.${key}`, this.#file);
  }

  list(key: string): Fields[] {
    const value = this.#entries.get(key);
    if (!Array.isArray(value) || value.length < 1 || value.length > MAX_LAYERS) {
      return this.refuse(key, `expected a list of 1 to ${MAX_LAYERS}`);
    }
    return value.map((item, i) => new Fields(item, `${this.path}.${key}[${i}]`, this.#file));
  }

  int16(key: string, shape: readonly number[]): Int16Array {
    return this.#file.int16(this.string(key), shape);
  }

  int32(key: string, shape: readonly number[]): Int32Array {
    return this.#file.int32(this.string(key), shape);
  }

  shapeOf(key: string): readonly number[] {
    return this.#file.shapeOf(this.string(key));
  }
}

/** Which way a list of layers may change the resolution. */
export type Resampling = 'unshuffle' | 'shuffle' | 'none';

/**
 * Reads layers in order, follows channels, resolution and limits through them, and proves 3.8 for each. One
 * way only, so that no picture has a number of rows that a factor does not divide.
 */
export function readLayers(
  items: readonly Fields[],
  input: Flow,
  qualities: number,
  resampling: Resampling,
): Stage {
  const layers: Layer[] = [];
  let flow = input;
  for (const [i, fields] of items.entries()) {
    const layer = readLayer(fields, flow, qualities);
    const previous = layers[i - 1];
    if ((layer.op === 'shuffle' || layer.op === 'unshuffle') && layer.op !== resampling)
      fields.refuse('op', `a ${layer.op} does not occur here`);
    if (layer.op === 'shuffle' && !isPointwise(previous)) fields.refuse('op', 'a shuffle follows a conv 1x1');
    if (previous?.op === 'unshuffle' && !isPointwise(layer))
      fields.refuse('op', 'an unshuffle is followed by a conv 1x1');
    layers.push(layer);
    flow = through(layer, flow);
  }
  if (layers.at(-1)?.op === 'unshuffle') items.at(-1)!.refuse('op', 'an unshuffle is followed by a conv 1x1');
  return { layers, output: flow };
}

const isPointwise = (layer: Layer | undefined) => layer?.op === 'conv' && layer.kernel === 1;

function readLayer(fields: Fields, flow: Flow, qualities: number): Layer {
  const op = fields.string('op');
  const channels = flow.limits.length;
  switch (op) {
    case 'conv':
      return readConv(fields, flow.limits, qualities);
    case 'residual':
      return readResidual(fields, flow.limits, qualities);
    case 'row':
      return readRow(fields, flow.limits, qualities);
    case 'unshuffle':
      // The conv that has to follow reads at most MAX_CHANNELS.
      return { op, factor: readFactor(fields) };
    case 'shuffle': {
      const factor = readFactor(fields);
      if (channels % (8 * factor * factor) !== 0) {
        fields.refuse('factor', `${channels} channels do not become a multiple of 8`);
      }
      return { op, factor };
    }
    default:
      return fields.refuse('op', `unknown layer ${jsonText(op)}`);
  }
}

function readFactor(fields: Fields): 2 | 4 {
  return fields.integer('factor', 2, 4, 2) as 2 | 4;
}

/** A conv for an input with these limits; proves that it cannot overflow. */
export function readConv(fields: Fields, input: Limits, qualities: number): Conv {
  if (fields.string('op') !== 'conv') fields.refuse('op', 'expected a conv');
  const kernel = fields.integer('kernel', 1, 3) as 1 | 2 | 3;
  if (kernel === 2) return fields.refuse('kernel', 'expected 1 or 3 but received 2');
  const inputs = fields.integer('inputs', 2, MAX_CHANNELS, 2);
  if (inputs !== input.length)
    fields.refuse('inputs', `is ${inputs}, but the layer reads ${input.length} channels`);
  const outputs = fields.integer('outputs', 8, MAX_CHANNELS, 8);
  const byQuality = fields.shapeOf('bias').length === 2;
  const conv: Conv = {
    op: 'conv',
    kernel,
    inputs,
    outputs,
    weight: fields.int16('weight', [outputs, kernel, kernel, inputs]),
    bias: fields.int32('bias', byQuality ? [qualities, outputs] : [outputs]),
    biasRows: byQuality ? qualities : 1,
    shift: fields.integer('shift', 0, 30),
    limit: fields.limit(),
    leaky: fields.boolean('leaky'),
  };
  const fault = checkConv(conv, input);
  if (fault) fields.refuse('weight', fault);
  return conv;
}

function readResidual(fields: Fields, input: Limits, qualities: number): Residual {
  const first = readConv(fields.object('first'), input, qualities);
  const second = readConv(fields.object('second'), outputLimits(first), qualities);
  if (first.kernel !== 3 || !first.leaky) fields.refuse('first', 'expected a leaky conv 3x3');
  if (second.kernel !== 3 || second.leaky) fields.refuse('second', 'expected a conv 3x3 that is not leaky');
  if (second.outputs !== input.length) {
    fields.refuse('second', `has ${second.outputs} outputs, but the residual reads ${input.length} channels`);
  }
  return { op: 'residual', first, second, limit: fields.limit() };
}

function readRow(fields: Fields, input: Limits, qualities: number): Row {
  const channels = input.length;
  const row: Row = {
    op: 'row',
    row: fields.int32('row', [qualities, channels]),
    channels,
    limit: fields.limit(),
  };
  const fault = checkRow(row, input);
  if (fault) fields.refuse('row', fault);
  return row;
}
