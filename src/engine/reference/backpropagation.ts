import type { BackNetwork } from '../../network/back-network.ts';
import { extentAfter, whole } from '../../network/window.ts';
import type { Extent, Patch } from '../engine.ts';
import { runLayers } from './layers.ts';

/** The contract's `backpropagate` in plain loops: the network forwards, then derivatives backwards. */
export function backpropagated(
  { input: { limits }, outputs, layers, parts, stages }: BackNetwork,
  input: Int16Array,
  extent: Extent,
  derivatives: Int16Array,
  quality: number,
): Int16Array {
  const activations: Patch[] = [];
  let read: Patch = { rect: whole(extent), channels: limits.length, data: input };
  let size = extent;
  for (const part of parts) {
    const made = extentAfter(part, size);
    read = runLayers(part, read, size, whole(made), quality);
    activations.push(read);
    size = made;
  }

  size = extentAfter(layers, extent);
  let back: Patch = { rect: whole(size), channels: outputs, data: derivatives };
  for (const stage of stages) {
    const made = extentAfter(stage, size);
    back = runLayers(stage, back, size, whole(made), 1);
    const activation = activations.pop();
    if (activation) back = bySlopes(back, activation);
    size = made;
  }
  return back.data;
}

/** Values times the slope of the leaky activation that made `activations`: 1 above 0, else 1/8. */
export function bySlopes(values: Patch, activations: Patch): Patch {
  return {
    ...values,
    data: values.data.map((value, i) => (activations.data[i]! > 0 ? value : value >> 3)),
  };
}
