import type { Limits } from './bounds.ts';
import { type Flow, outputLimits, pictureFlow, through, trunkFlow, uniform } from './flow.ts';
import type { Conv, Layer, Model } from './model.ts';

/** The shape that a `Model` and the graph of its file share; C is what stands for a convolution. */
export interface Network<C extends { readonly op: 'conv' }> {
  readonly analysis: readonly NetworkLayer<C>[];
  readonly hyperAnalysis: readonly NetworkLayer<C>[];
  readonly hyperSynthesis: readonly NetworkLayer<C>[];
  readonly prior: readonly {
    readonly trunk: readonly NetworkLayer<C>[];
    readonly mean: C;
    readonly deviation: C;
  }[];
  readonly synthesis: readonly NetworkLayer<C>[];
}

type NetworkLayer<C> =
  | C
  | { readonly op: 'residual'; readonly first: C; readonly second: C }
  | { readonly op: 'unshuffle' | 'shuffle' | 'row' };

/**
 * Every convolution in one fixed order: analysis, hyperAnalysis, hyperSynthesis, each step of the prior
 * (trunk, mean, deviation), synthesis; of a residual `first`, then `second`. A model without its encoder has
 * those of its decoder only.
 */
export function modelConvs<C extends { readonly op: 'conv' }>(network: Network<C>): C[] {
  const inLayers = (layers: readonly NetworkLayer<C>[]): C[] =>
    layers.flatMap((layer) => {
      if (layer.op === 'conv') return [layer as C];
      return layer.op === 'residual' ? [layer.first, layer.second] : [];
    });
  return [
    ...inLayers(network.analysis),
    ...inLayers(network.hyperAnalysis),
    ...inLayers(network.hyperSynthesis),
    ...network.prior.flatMap(({ trunk, mean, deviation }) => [...inLayers(trunk), mean, deviation]),
    ...inLayers(network.synthesis),
  ];
}

/** For each of `modelConvs`: the limit of every channel that it reads, as spec 3.8 counts with it. */
export function convInputLimits(model: Model): Limits[] {
  const limits = new Map<Conv, Limits>();
  const follow = (layers: readonly Layer[], input: Flow): Flow => {
    let flow = input;
    for (const layer of layers) {
      if (layer.op === 'conv') limits.set(layer, flow.limits);
      if (layer.op === 'residual') {
        limits.set(layer.first, flow.limits);
        limits.set(layer.second, outputLimits(layer.first));
      }
      flow = through(layer, flow);
    }
    return flow;
  };
  const latents = uniform(model.latentChannels, model.latent.limit);
  follow(model.analysis, pictureFlow(model.imageShift));
  follow(model.hyperAnalysis, latents);
  const context = follow(model.hyperSynthesis, uniform(model.hyperChannels, model.hyper.limit));
  for (const [t, { trunk, mean, deviation }] of model.prior.entries()) {
    const output = follow(trunk, trunkFlow(t, context.limits, latents.limits));
    limits.set(mean, output.limits);
    limits.set(deviation, output.limits);
  }
  follow(model.synthesis, latents);
  return modelConvs<Conv>(model).map((conv) => limits.get(conv)!);
}
