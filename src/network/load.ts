import { FormatError, shown, UnsupportedError } from '../errors.ts';
import { joinBytes } from '../join-bytes.ts';
import { checkHead, checkHyper, checkLatent, type Verdict } from './bounds.ts';
import { type Flow, pictureFlow, trunkFlow, uniform } from './flow.ts';
import { type Fields, MAX_CHANNELS, openGraph, readConv, readLayers, type Stage } from './graph.ts';
import type { CdfTables, Conv, Head, HyperQuantizer, LatentQuantizer, Model, PriorStep } from './model.ts';
import { TensorFile } from './safetensors.ts';
import { sha256 } from './sha256.ts';

/** The only values of version 1; chapters 1 to 3 rely on them. */
const QUALITIES = 100;
const LATENT_STRIDE = 16;
const HYPER_STRIDE = 4;
const MAX_TABLES = 256;
const PRIOR_STEPS = 4;

/**
 * Reads the bytes of a model file. Checks its hash and everything of spec 3.2 to 3.9. Rejects with
 * FormatError (section `model`), and with UnsupportedError for a version that this build does not know, or
 * where SHA-256 is missing (`crypto.subtle`, in pages that are not served securely).
 */
export async function loadModel(bytes: Uint8Array): Promise<Model> {
  const model = parseModel(bytes);
  const actual = await hashModel(bytes);
  if (actual !== model.hash) {
    throw new FormatError('model', 0, `its hash is ${actual}, not ${model.hash} as it says`);
  }
  return model;
}

/** SHA-256 of a model file as spec 3.2 defines it, in lower-case hexadecimal. */
export async function hashModel(bytes: Uint8Array): Promise<string> {
  const file = new TensorFile(bytes);
  const graph = new TextEncoder().encode(file.metadata.get('graph') ?? '');
  return sha256(joinBytes([graph, file.data]));
}

export interface ParseOptions {
  /** Leaves unread what only encoders need: `analysis` and `hyperAnalysis` are empty. */
  readonly decoderOnly?: boolean;
}

/**
 * As `loadModel`, but synchronous and without checking the hash: for workers, which receive bytes whose hash
 * has been checked. `model.hash` is what the file claims.
 */
export function parseModel(bytes: Uint8Array, { decoderOnly = false }: ParseOptions = {}): Model {
  const file = new TensorFile(bytes);
  const { metadata } = file;
  const format = metadata.get('format');
  const version = metadata.get('version');
  if (format !== 'liif-model' || version === undefined)
    throw new FormatError(
      'model',
      8,
      `expected format "liif-model" and a version but received ${shown(format)}`,
    );
  if (version !== '1')
    throw new UnsupportedError(`model of version ${shown(version)}: this build reads version "1"`);
  const name = metadata.get('name') ?? '';
  if (!/^[a-z0-9.-]{1,64}$/.test(name)) throw new FormatError('model', 8, `name ${shown(name)}`);
  const hash = metadata.get('hash') ?? '';
  if (!/^[0-9a-f]{64}$/.test(hash)) throw new FormatError('model', 8, `hash ${shown(hash)}`);
  const model = { name, hash, ...readGraph(openGraph(metadata.get('graph'), file), decoderOnly) };
  if (!decoderOnly) file.refuseUnread();
  return model;
}

function readGraph(graph: Fields, decoderOnly: boolean): Omit<Model, 'name' | 'hash'> {
  const qualities = graph.integer('qualities', QUALITIES, QUALITIES);
  const latentStride = graph.integer('latentStride', LATENT_STRIDE, LATENT_STRIDE);
  const hyperStride = graph.integer('hyperStride', HYPER_STRIDE, HYPER_STRIDE);
  const latentChannels = graph.integer('latentChannels', 32, MAX_CHANNELS, 32);
  const hyperChannels = graph.integer('hyperChannels', 8, MAX_CHANNELS, 8);
  const imageShift = graph.integer('imageShift', 2, 15);

  const tables = readTables(graph.object('tables'));
  const latent = readLatent(graph.object('latent'), qualities, latentChannels);
  const hyper = readHyper(graph.object('hyper'), qualities, hyperChannels, tables.count);
  const head = readHead(graph.object('head'));

  const latents = uniform(latentChannels, latent.limit);
  const encoder = decoderOnly
    ? { analysis: [], hyperAnalysis: [] }
    : readEncoder(graph, latents, qualities, imageShift, hyperChannels);
  const hyperSynthesis = readLayers(
    graph.list('hyperSynthesis'),
    uniform(hyperChannels, hyper.limit),
    qualities,
    'shuffle',
  );
  expectOutput(graph, 'hyperSynthesis', hyperSynthesis, { reduction: 1 / hyperStride });
  const synthesis = readLayers(graph.list('synthesis'), latents, qualities, 'shuffle');
  expectOutput(graph, 'synthesis', synthesis, {
    channels: head.hidden,
    reduction: 1 / latentStride,
    limit: head.limit,
  });

  const context = hyperSynthesis.output.limits;
  const steps = graph.list('prior');
  if (steps.length !== PRIOR_STEPS)
    graph.refuse('prior', `expected ${PRIOR_STEPS} steps but received ${steps.length}`);
  const prior = steps.map((step, t) =>
    readPriorStep(step, trunkFlow(t, context, latents.limits), latent, qualities, latentChannels),
  );

  return {
    qualities,
    latentStride,
    hyperStride,
    latentChannels,
    hyperChannels,
    priorChannels: context.length,
    imageShift,
    ...encoder,
    hyperSynthesis: hyperSynthesis.layers,
    prior,
    synthesis: synthesis.layers,
    latent,
    hyper,
    tables,
    head,
  };
}

/** The networks that only encoders need. */
function readEncoder(
  graph: Fields,
  latents: Flow,
  qualities: number,
  imageShift: number,
  hyperChannels: number,
): Pick<Model, 'analysis' | 'hyperAnalysis'> {
  const analysis = readLayers(graph.list('analysis'), pictureFlow(imageShift), qualities, 'unshuffle');
  expectOutput(graph, 'analysis', analysis, {
    channels: latents.limits.length,
    reduction: LATENT_STRIDE,
    limit: latents.limits[0]!,
  });
  const hyperAnalysis = readLayers(graph.list('hyperAnalysis'), latents, qualities, 'unshuffle');
  expectOutput(graph, 'hyperAnalysis', hyperAnalysis, { channels: hyperChannels, reduction: HYPER_STRIDE });
  return { analysis: analysis.layers, hyperAnalysis: hyperAnalysis.layers };
}

function expectOutput(
  graph: Fields,
  key: string,
  stage: Stage,
  expected: { channels?: number; reduction: number; limit?: number },
): void {
  const { limits, reduction } = stage.output;
  if (reduction !== expected.reduction) {
    graph.refuse(key, `expected a reduction by ${expected.reduction} but received ${reduction}`);
  }
  if (limits.length !== (expected.channels ?? limits.length)) {
    graph.refuse(key, `expected ${expected.channels} channels but received ${limits.length}`);
  }
  if (expected.limit !== undefined && limits.some((limit) => limit !== expected.limit)) {
    graph.refuse(key, `expected limit ${expected.limit} of its output but received ${Math.max(...limits)}`);
  }
}

function readPriorStep(
  step: Fields,
  input: Flow,
  latent: LatentQuantizer,
  qualities: number,
  latentChannels: number,
): PriorStep {
  const trunk = readLayers(step.list('trunk'), input, qualities, 'none');
  const output = (key: string): Conv => {
    const conv = readConv(step.object(key), trunk.output.limits, qualities);
    if (conv.kernel !== 1 || conv.leaky) step.refuse(key, 'expected a conv 1x1 that is not leaky');
    if (conv.outputs !== latentChannels) {
      step.refuse(key, `expected ${latentChannels} outputs but received ${conv.outputs}`);
    }
    return conv;
  };
  const mean = output('mean');
  const deviation = output('deviation');
  if (mean.limit > latent.limit)
    step.refuse('mean', `limit ${mean.limit} is above that of latents, ${latent.limit}`);
  accept(step, 'deviation', checkLatent(latent, latentChannels, deviation.limit));
  return { trunk: trunk.layers, mean, deviation };
}

function readLatent(fields: Fields, qualities: number, channels: number): LatentQuantizer {
  const latent = {
    limit: fields.limit(),
    stepBits: fields.integer('stepBits', 1, 24),
    step: fields.int32('step', [qualities, channels]),
    deviationShift: fields.integer('deviationShift', 0, 15),
    deviationOffset: fields.int32('deviationOffset', [qualities, channels]),
  };
  accept(fields, 'step', checkLatent(latent, channels, 0));
  return latent;
}

function readHyper(fields: Fields, qualities: number, channels: number, tables: number): HyperQuantizer {
  const hyper = {
    limit: fields.limit(),
    stepBits: fields.integer('stepBits', 1, 24),
    step: fields.int32('step', [qualities, channels]),
    offset: fields.int32('offset', [qualities, channels]),
    table: fields.int16('table', [qualities, channels]),
  };
  accept(fields, 'step', checkHyper(hyper, channels));
  const wrong = hyper.table.find((table) => table < 0 || table >= tables);
  if (wrong !== undefined) fields.refuseTensor('table', `table ${wrong} of ${tables}`);
  return hyper;
}

function readHead(fields: Fields): Head {
  const hidden = fields.integer('hidden', 8, MAX_CHANNELS, 8);
  const head = {
    hidden,
    limit: fields.limit(),
    rowWeight: fields.int16('rowWeight', [hidden]),
    columnWeight: fields.int16('columnWeight', [hidden]),
    cellRowWeight: fields.int16('cellRowWeight', [hidden]),
    cellColumnWeight: fields.int16('cellColumnWeight', [hidden]),
    cellShift: fields.integer('cellShift', 1, 24),
    outputWeight: fields.int16('outputWeight', [3, hidden]),
    outputBias: fields.int32('outputBias', [3]),
    outputShift: fields.integer('outputShift', 9, 30),
  };
  accept(fields, 'hidden', checkHead(head));
  return head;
}

/** Spec 3.9. */
function readTables(fields: Fields): CdfTables {
  const precision = fields.integer('precision', 12, 14);
  const [starts = 0] = fields.shapeOf('start');
  const count = starts - 1;
  if (count < 1 || count > MAX_TABLES) fields.refuseTensor('start', `${count} tables`);
  const start = fields.int32('start', [starts]);
  if (start[0] !== 0) fields.refuseTensor('start', `the first is ${start[0]}, not 0`);
  for (let i = 0; i < count; i++) {
    const size = start[i + 1]! - start[i]!;
    if (size < 0 || size === 1 || size > 1024)
      fields.refuseTensor('start', `table ${i} has ${size} frequencies`);
  }
  const tables = {
    count,
    precision,
    start,
    frequency: fields.int16('frequency', [start[count]!]),
    minimum: fields.int16('minimum', [count]),
    rawBits: fields.int16('rawBits', [count]),
  };
  for (let i = 0; i < count; i++) checkTable(fields, tables, i);
  return tables;
}

function checkTable(fields: Fields, tables: CdfTables, i: number): void {
  const frequency = tables.frequency.subarray(tables.start[i]!, tables.start[i + 1]!);
  const rawBits = tables.rawBits[i]!;
  if (rawBits < 0 || rawBits > 12) fields.refuseTensor('rawBits', `table ${i} has ${rawBits} raw bits`);
  if (frequency.length === 0) return;
  if (frequency.some((f) => f < 1)) fields.refuseTensor('frequency', `table ${i} has a frequency below 1`);
  const sum = frequency.reduce((a, b) => a + b, 0);
  if (sum !== 2 ** tables.precision) {
    fields.refuseTensor('frequency', `table ${i} adds up to ${sum}, not ${2 ** tables.precision}`);
  }
  const low = tables.minimum[i]! * 2 ** rawBits;
  const high = (tables.minimum[i]! + frequency.length - 1) * 2 ** rawBits - 1;
  if (low < -32768 || high > 32767) {
    fields.refuseTensor('minimum', `table ${i} yields symbols ${low} to ${high}, beyond 16 bits`);
  }
}

function accept(fields: Fields, key: string, verdict: Verdict): void {
  if (verdict !== undefined) fields.refuse(key, verdict);
}
