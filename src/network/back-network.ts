import { UnsupportedError } from '../errors.ts';
import { type Flow, throughAll, trunkFlow, uniform } from './flow.ts';
import type { Conv, Layer, Model, PriorStep } from './model.ts';
import { oncePer } from './once-per.ts';
import { growth, inputLimit, LIMIT, transposed, withLimits } from './transposed.ts';

/**
 * Hyper synthesis and prior (spec 3.6) backwards: what a derivative by their outputs is by their inputs. Only
 * encoders run them, as `gradient.ts`: the format does not know of them.
 */

/** A network that decides what latents cost; a number is a step of the prior, 0 to 3. */
export type ChunkNetwork = 'hyperSynthesis' | number;

/** A network, and the same backwards. */
export interface BackNetwork {
  /**
   * All layers forwards. Those of a prior step read h, from step 1 on followed by the latents so far, and make
   * 2^shift times mean, then 2^shift times deviation, each by the shift of its convolution.
   */
  readonly layers: readonly Layer[];
  /** What `layers` read. */
  readonly input: Flow;
  /** Channels of the outputs. */
  readonly outputs: number;
  /** Of `layers`, those up to the last activation; each part ends with one, shuffled or not. */
  readonly parts: readonly (readonly Layer[])[];
  /**
   * Layers backwards, one stage more than there are parts: after each but the last, derivatives are
   * multiplied by the slopes of the activation that the parts, the last first, end with.
   */
  readonly stages: readonly (readonly Layer[])[];
  /** Derivatives by outputs are to be within -limit .. limit. */
  readonly limit: number;
  /** Factor that makes of a result the derivative by an input. */
  readonly unit: number;
}

const made = oncePer((_: Model) => new Map<ChunkNetwork, BackNetwork>());

/**
 * A network of a model backwards, made once. Throws UnsupportedError where it has residuals, whose slopes it
 * does not apply.
 */
export function backNetwork(model: Model, network: ChunkNetwork): BackNetwork {
  const networks = made(model);
  const found = networks.get(network) ?? makeNetwork(model, network);
  networks.set(network, found);
  return found;
}

function makeNetwork(model: Model, network: ChunkNetwork): BackNetwork {
  const layers = typeof network === 'number' ? priorLayers(model.prior[network]!) : model[network];
  if (layers.some(({ op }) => op === 'residual'))
    throw new UnsupportedError(
      `Pictures cannot be optimized for this model: its ${typeof network === 'number' ? 'prior' : 'hyper synthesis'} has residuals`,
    );
  const input = inputFlow(model, network);
  const parts = activated(layers);
  const rest = layers.slice(parts.flat().length);
  const turned = [...parts, rest].toReversed().map(backwards);
  // Slopes only make derivatives smaller, so limits hold through them.
  const back = withLimits(turned.flat());
  let end = 0;
  const stages = turned.map(({ length }) => {
    end += length;
    return back.slice(end - length, end);
  });
  let exponent = 0;
  for (const layer of layers) if (layer.op === 'conv') exponent += growth(layer) - layer.shift;
  return {
    layers,
    input,
    outputs: throughAll(layers, input).limits.length,
    parts,
    stages,
    limit: back.length > 0 ? inputLimit(back[0], back[1]) : LIMIT,
    unit: 2 ** exponent,
  };
}

/** What a network of chunks reads. */
function inputFlow(model: Model, network: ChunkNetwork): Flow {
  const hyper = uniform(model.hyperChannels, model.hyper.limit);
  if (network === 'hyperSynthesis') return hyper;
  const context = throughAll(model.hyperSynthesis, hyper);
  const latents = uniform(model.latentChannels, model.latent.limit);
  return trunkFlow(network, context.limits, latents.limits);
}

/** Mean and deviation as one convolution; their shifts, which may differ, are left out. */
function priorLayers({ trunk, mean, deviation }: PriorStep): Layer[] {
  const weight = new Int16Array(mean.weight.length + deviation.weight.length);
  weight.set(mean.weight);
  weight.set(deviation.weight, mean.weight.length);
  const outputs = mean.outputs + deviation.outputs;
  return [...trunk, { ...mean, outputs, weight, bias: new Int32Array(outputs), biasRows: 1, shift: 0 }];
}

/** The layers up to the last activation, cut behind each activation and its shuffle. */
function activated(layers: readonly Layer[]): Layer[][] {
  const parts: Layer[][] = [];
  let part: Layer[] = [];
  for (const [i, layer] of layers.entries()) {
    part.push(layer);
    const leaky = (at: number) => (layers[at] as Partial<Conv> | undefined)?.leaky === true;
    const shuffled = layers[i + 1]?.op === 'shuffle';
    if ((leaky(i) && !shuffled) || (layer.op === 'shuffle' && leaky(i - 1))) {
      parts.push(part);
      part = [];
    }
  }
  return parts;
}

/** Layers without their activations, from the last to the first. */
function backwards(layers: readonly Layer[]): Layer[] {
  return layers.toReversed().flatMap((layer): Layer[] => {
    if (layer.op === 'conv') return [transposed(layer, growth(layer))];
    if (layer.op === 'shuffle') return [{ op: 'unshuffle', factor: layer.factor }];
    return [];
  });
}
