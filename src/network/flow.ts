import type { Limits } from './bounds.ts';
import type { Conv, Layer } from './model.ts';

/**
 * What is known of a tensor before any of it is computed: how limits and resolution go through a network
 * (spec 3.8). The loader proves bounds by it, and whoever makes new weights fits them to it.
 */
export interface Flow {
  /** The limit of each channel; as many as there are channels. */
  readonly limits: Limits;
  /** Rows of the first input for one row of this tensor. */
  readonly reduction: number;
}

/** The input of a network whose channels are alike: latents, hyper latents. */
export function uniform(channels: number, limit: number): Flow {
  return { limits: new Array<number>(channels).fill(limit), reduction: 1 };
}

/** The samples that analysis reads (spec 3.4). */
export function pictureFlow(imageShift: number): Flow {
  return uniform(3, 2 ** (16 - imageShift));
}

/** What the trunk of prior step `t` reads: h, followed by the latents known so far but in the first step. */
export function trunkFlow(t: number, context: Limits, latents: Limits): Flow {
  return { limits: t === 0 ? context : [...context, ...latents], reduction: 1 };
}

/** What a conv hands on: to the second one of a residual, for instance. */
export function outputLimits(conv: Conv): Limits {
  return new Array<number>(conv.outputs).fill(conv.limit);
}

/** What becomes of a tensor in layers, one after the other; they fit it. */
export function throughAll(layers: readonly Layer[], input: Flow): Flow {
  return layers.reduce((flow, layer) => through(layer, flow), input);
}

/** What becomes of a tensor in one layer; the layer fits it. */
export function through(layer: Layer, flow: Flow): Flow {
  switch (layer.op) {
    case 'conv':
      return { ...flow, limits: outputLimits(layer) };
    case 'residual':
    case 'row':
      return { ...flow, limits: new Array<number>(flow.limits.length).fill(layer.limit) };
    case 'unshuffle': {
      const copies = Array.from({ length: layer.factor ** 2 }, () => flow.limits);
      return { limits: copies.flat(), reduction: flow.reduction * layer.factor };
    }
    case 'shuffle':
      return {
        limits: flow.limits.slice(0, flow.limits.length / layer.factor ** 2),
        reduction: flow.reduction / layer.factor,
      };
  }
}
