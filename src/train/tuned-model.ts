import { RequestError } from '../errors.ts';
import { checkHead } from '../network/bounds.ts';
import { convInputLimits } from '../network/convs.ts';
import { type ConvValues, integerConv } from '../network/integer-conv.ts';
import type { CdfTables, Head, Model } from '../network/model.ts';
import { rewriteModel } from '../network/write-model.ts';
import type { TrainableConv } from './network/trainable-layers.ts';
import type { TrainableNetwork } from './network/trainable-network.ts';

export interface TunedModelOptions {
  readonly name: string;
  readonly tables: CdfTables;
  readonly provenance: Readonly<Record<string, unknown>>;
}

/** The least `outputShift` of spec 3.8. */
const LEAST_OUTPUT_SHIFT = 9;

/** A model to start from, and the file that it was read from. */
export interface BaseModel {
  readonly model: Model;
  readonly bytes: Uint8Array;
}

/**
 * Exports the trained network to integers, as a model file. Graph, quantization steps and quality rows of
 * `base` stay.
 */
export async function tunedModel(
  { model, bytes }: BaseModel,
  network: TrainableNetwork,
  { name, tables, provenance }: TunedModelOptions,
): Promise<Uint8Array> {
  const limits = convInputLimits(model);
  const convs: ConvValues[] = [];
  for (const [i, trained] of network.convs.entries()) convs.push(await integers(trained, limits[i]!));
  const head = await headIntegers(network, model.head);
  return rewriteModel(bytes, { name, convs, tables, head, provenance });
}

/** A convolution as integers, with the model's shift or a smaller one (`integerConv`). */
async function integers(trained: TrainableConv, limits: readonly number[]): Promise<ConvValues> {
  const { conv } = trained;
  const { kernel, inputs, outputs } = conv;
  const scale = 2 ** conv.shift;
  const filter = await read(trained.filter());
  const length = kernel * kernel * inputs;
  const weight = Float64Array.from(
    { length: filter.length },
    (_, w) => filter[(w % length) * outputs + Math.floor(w / length)]! * scale,
  );
  const shift = await read(trained.biasShift());
  const bias = Float64Array.from(conv.bias, (b, i) => b + shift[i % outputs]! * scale);
  return integerConv(conv, { weight, bias }, limits);
}

/**
 * The head's last layer as integers, with the largest shift up to the model's at which no sum overflows.
 * Rejects with RequestError where there is none.
 */
async function headIntegers(
  network: TrainableNetwork,
  head: Head,
): Promise<Pick<Head, 'outputWeight' | 'outputBias' | 'outputShift'>> {
  const { weight, bias } = network.head.output();
  const weights = await read(weight);
  const biases = await read(bias);
  for (let outputShift = head.outputShift; outputShift >= LEAST_OUTPUT_SHIFT; outputShift--) {
    const scale = 2 ** outputShift;
    const values = Float64Array.from(weights, (w) => Math.round(w * scale));
    if (values.some((w) => Math.abs(w) > 32767)) continue;
    const fitted = {
      outputWeight: Int16Array.from(values),
      outputBias: Int32Array.from(biases, (b) => Math.round(b * scale)),
      outputShift,
    };
    if (checkHead({ ...head, ...fitted }) === undefined) return fitted;
  }
  throw new RequestError(
    'The weights of the last layer are too large: no shift keeps their sums within 32 bits',
  );
}

/** The values of a tensor, which is disposed. */
async function read(tensor: {
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}): Promise<ArrayLike<number>> {
  try {
    return await tensor.data();
  } finally {
    tensor.dispose();
  }
}
