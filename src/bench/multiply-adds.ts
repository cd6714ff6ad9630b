import type { Extent, Rect } from '../engine/engine.ts';
import type { Conv, Layer } from '../network/model.ts';
import { grow, layerExtents, layerWindows } from '../network/window.ts';

/**
 * Multiply-adds of `layers` for the window `output` of the last one, with the halo that it needs. Padding
 * counts, too. `input`: size of the first layer's input.
 */
export function multiplyAdds(layers: readonly Layer[], input: Extent, output: Rect): number {
  const extents = layerExtents(layers, input);
  const windows = layerWindows(layers, output, input);
  let sum = 0;
  for (const [i, layer] of layers.entries()) {
    const window = windows[i + 1]!;
    if (layer.op === 'conv') sum += ofConv(layer, window);
    if (layer.op === 'residual')
      sum += ofConv(layer.first, grow(window, 1, extents[i]!)) + ofConv(layer.second, window);
  }
  return sum;
}

function ofConv({ kernel, inputs, outputs }: Conv, { height, width }: Rect): number {
  return height * width * kernel * kernel * inputs * outputs;
}
