import { FormatError } from '../../errors.ts';
import { modelConvs, type Network } from '../../network/convs.ts';
import { jsonText, TensorFile } from '../../network/safetensors.ts';

/**
 * Exponents of a convolution's input and output: value in training = integer / 2^exponent. NaN where the
 * model file does not say.
 */
export interface Exponents {
  readonly input: number;
  readonly output: number;
}

/**
 * The part of a graph (spec 3.2) that names exponents. Exporters write them for training; decoders ignore
 * them.
 */
interface WithExponent {
  readonly exponent?: unknown;
}
interface ConvJson extends WithExponent {
  readonly op: 'conv';
}
interface GraphJson extends Network<ConvJson> {
  readonly imageShift: number;
  readonly latent: WithExponent;
  readonly hyper: WithExponent;
}

/** Largest absolute value of an exponent. Powers of larger ones come near the limits of float32. */
const LARGEST_EXPONENT = 64;

/**
 * Exponents of all convolutions, in the order of `modelConvs`. `file`: a valid model file. Throws FormatError
 * for a wrong exponent.
 */
export function convExponents(file: Uint8Array): Exponents[] {
  const graph = JSON.parse(new TensorFile(file).metadata.get('graph')!) as GraphJson;
  const found = new Map<ConvJson, Exponents>();
  const note = (conv: ConvJson, input: number): number => {
    const output = exponentOf(conv);
    found.set(conv, { input, output });
    return output;
  };
  /** Notes the convolutions of `layers`. `input`: exponent of their input. Returns that of their output. */
  const follow = (layers: GraphJson['analysis'], input: number): number => {
    let exponent = input;
    for (const layer of layers) {
      if (layer.op === 'conv') exponent = note(layer, exponent);
      else if (layer.op === 'residual') note(layer.second, note(layer.first, exponent));
      else if (layer.op === 'row') exponent = exponentOf(layer as WithExponent);
    }
    return exponent;
  };
  const latents = exponentOf(graph.latent);
  // RGB / 255 - 1/2 is what a network is trained on; spec 3.4 makes 2^(16 - imageShift) of one half.
  follow(graph.analysis, 17 - graph.imageShift);
  follow(graph.hyperAnalysis, latents);
  const context = follow(graph.hyperSynthesis, exponentOf(graph.hyper));
  for (const { trunk, mean, deviation } of graph.prior) {
    const seen = follow(trunk, context);
    note(mean, seen);
    note(deviation, seen);
  }
  follow(graph.synthesis, latents);
  return modelConvs<ConvJson>(graph).map((conv) => found.get(conv)!);
}

function exponentOf({ exponent }: WithExponent): number {
  if (exponent === undefined || exponent === null) return Number.NaN;
  if (typeof exponent === 'number' && Math.abs(exponent) <= LARGEST_EXPONENT) return exponent;
  throw new FormatError(
    'model',
    8,
    `expected an exponent of -${LARGEST_EXPONENT} to ${LARGEST_EXPONENT} but received ${jsonText(exponent)}`,
  );
}
