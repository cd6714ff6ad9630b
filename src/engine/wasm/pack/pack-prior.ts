import { groupAt } from '../../../network/channel-groups.ts';
import { type Flow, through } from '../../../network/flow.ts';
import type { Conv, Model } from '../../../network/model.ts';
import type { WasmHeap } from '../heap.ts';
import { type PackedConv, type PackedLayer, packConv, packLayers } from './pack-layer.ts';

/**
 * A prior step (spec 3.6). At each position step t sees the latents of only t of the four groups of channels;
 * the others are still zero. So the input of the first convolution holds, behind h, just the groups that are
 * coded, in the order of their steps. Which group a step has coded at a position depends on the position's
 * parity, and so does the order of the first convolution's weights.
 */
export interface PackedPriorStep {
  /**
   * The trunk's first convolution for outputs at rows of parity r and columns of parity c: index 2r + c.
   * Absent for step 0, and if the trunk does not begin with a convolution: then it reads all channels.
   */
  readonly first?: readonly PackedConv[];
  /** The layers that follow `first`. */
  readonly trunk: readonly PackedLayer[];
  readonly mean: PackedConv;
  readonly deviation: PackedConv;
}

/** `input`: the channels and limits that the trunk reads. */
export function packPriorStep(model: Model, step: number, input: Flow, heap: WasmHeap): PackedPriorStep {
  const { trunk, mean, deviation } = model.prior[step]!;
  const [first, ...others] = trunk;
  const bySteps = step > 0 && first?.op === 'conv';
  const packed = {
    trunk: bySteps ? packLayers(others, through(first, input), heap) : packLayers(trunk, input, heap),
    mean: packConv(mean, heap),
    deviation: packConv(deviation, heap),
  };
  if (!bySteps) return packed;
  return {
    ...packed,
    first: [0, 1, 2, 3].map((parity) => packConv(coded(first, model, step, parity >> 1, parity & 1), heap)),
  };
}

/** Channels of a step's input without the groups that are still zero. */
export function codedChannels(model: Model, step: number): number {
  return model.priorChannels + step * (model.latentChannels / 4);
}

/** The convolution with the weights of coded groups only, for outputs at rows and columns of one parity. */
function coded(conv: Conv, model: Model, step: number, rowParity: number, columnParity: number): Conv {
  const { kernel, inputs, outputs, weight } = conv;
  const { priorChannels } = model;
  const group = model.latentChannels / 4;
  const channels = codedChannels(model, step);
  const radius = (kernel - 1) / 2;
  const taps = kernel * kernel;
  const result = new Int16Array(outputs * taps * channels);
  for (let output = 0; output < outputs; output++) {
    for (let tap = 0; tap < taps; tap++) {
      const row = rowParity + Math.floor(tap / kernel) - radius;
      const column = columnParity + (tap % kernel) - radius;
      const from = (output * taps + tap) * inputs;
      let to = (output * taps + tap) * channels;
      result.set(weight.subarray(from, from + priorChannels), to);
      to += priorChannels;
      for (let before = 0; before < step; before++, to += group) {
        const start = from + priorChannels + groupAt(before, row, column) * group;
        result.set(weight.subarray(start, start + group), to);
      }
    }
  }
  return { ...conv, inputs: channels, weight: result };
}
