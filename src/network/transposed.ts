import type { Conv, Layer } from './model.ts';

/**
 * Convolutions that run backwards: with the kernel turned around, and inputs and outputs exchanged. Their
 * values are derivatives, which may saturate but must not leave int32.
 */

/** Limit of derivatives that nothing else bounds. */
export const LIMIT = 32767;

const ACCUMULATOR = 2 ** 31 - 1;

/** weight[i][-dy][-dx][o], without bias and activation. */
export function transposed({ kernel, inputs, outputs, weight }: Conv, shift: number): Conv {
  const taps = kernel * kernel;
  const turned = new Int16Array(weight.length);
  for (let o = 0, from = 0; o < outputs; o++) {
    for (let tap = taps - 1; tap >= 0; tap--) {
      for (let i = 0; i < inputs; i++) turned[(i * taps + tap) * outputs + o] = weight[from++]!;
    }
  }
  return {
    op: 'conv',
    kernel,
    inputs: outputs,
    outputs: inputs,
    weight: turned,
    bias: new Int32Array(inputs),
    biasRows: 1,
    shift,
    limit: LIMIT,
    leaky: false,
  };
}

/** Bits by which derivatives of independent outputs grow, averaged over the inputs of a convolution. */
export function growth({ weight, inputs }: Conv): number {
  return bits(meanSquare(weight, inputs));
}

/** Mean over `columns` of the sum of squared weights. */
export function meanSquare(weight: Int16Array, columns: number): number {
  let sum = 0;
  for (const w of weight) sum += w * w;
  return sum / columns;
}

/** The shift nearest to a growth whose square is given: 0 to 30. */
export function bits(square: number): number {
  let shift = 0;
  while (shift < 30 && square > 2 * 4 ** shift) shift++;
  return shift;
}

/** Limits every output to what the next layer can read without leaving int32. */
export function withLimits(layers: readonly Layer[]): Layer[] {
  return layers.map((layer, i) => {
    const limit = inputLimit(layers[i + 1], layers[i + 2]);
    if (layer.op === 'conv') return { ...layer, limit };
    if (layer.op !== 'residual') return layer;
    return { ...layer, first: { ...layer.first, limit: convLimit(layer.second) }, limit };
  });
}

/** The largest magnitude that a layer may read. */
export function inputLimit(layer: Layer | undefined, next?: Layer): number {
  if (layer?.op === 'conv') return convLimit(layer);
  if (layer?.op === 'residual') return convLimit(layer.first);
  return next === undefined ? LIMIT : inputLimit(next);
}

function convLimit({ weight, outputs, shift }: Conv): number {
  const length = weight.length / outputs;
  let largest = 1;
  for (let from = 0; from < weight.length; from += length) {
    let sum = 0;
    for (let i = from; i < from + length; i++) sum += Math.abs(weight[i]!);
    largest = Math.max(largest, sum);
  }
  return Math.min(LIMIT, Math.floor((ACCUMULATOR - 2 ** shift) / largest));
}
