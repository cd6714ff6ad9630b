import { clamp, leaky, round } from '../../network/fixed-point.ts';
import type { Conv, Layer, Residual, Row } from '../../network/model.ts';
import { cut, grow, layerExtents, layerWindows } from '../../network/window.ts';
import type { Extent, Patch, Rect } from '../engine.ts';

/**
 * The layers of spec 3.3 in plain loops. Fast engines are measured against them.
 *
 * A patch is (H,W,C), a window of a tensor of `extent` rows and columns. Beyond the extent everything is zero
 * (3.5); inside it, callers give patches that hold all that a layer reads. No accumulator leaves int32 (3.8):
 * `| 0` only tells the compiler so.
 */

/**
 * The output of the last layer over `output`. `input`: what `layerWindows` says that the first layer reads,
 * of a tensor of `extent`.
 */
export function runLayers(
  layers: readonly Layer[],
  input: Patch,
  extent: Extent,
  output: Rect,
  quality: number,
): Patch {
  let patch = input;
  for (const step of planLayers(layers, extent, output)) patch = runLayer(step, patch, quality);
  return patch;
}

/** One layer, the extent of the tensor that it reads, and the window of its output that it makes. */
export interface PlannedLayer {
  readonly layer: Layer;
  readonly extent: Extent;
  readonly output: Rect;
}

/**
 * What each layer reads and makes, so that the last one makes `output`. `extent`: of the tensor that the
 * first layer reads.
 */
export function planLayers(layers: readonly Layer[], extent: Extent, output: Rect): PlannedLayer[] {
  const extents = layerExtents(layers, extent);
  const windows = layerWindows(layers, output, extent);
  return layers.map((layer, i) => ({ layer, extent: extents[i]!, output: windows[i + 1]! }));
}

/** One layer, whose input covers the window that it reads. */
export function runLayer({ layer, extent, output }: PlannedLayer, input: Patch, quality: number): Patch {
  switch (layer.op) {
    case 'conv':
      return conv(layer, input, extent, output, quality);
    case 'residual':
      return residual(layer, input, extent, output, quality);
    case 'row':
      return row(layer, input, output, quality);
    case 'unshuffle':
      return unshuffle(layer.factor, input, output);
    case 'shuffle':
      return shuffle(layer.factor, input, output);
  }
}

/**
 * `conv` of spec 3.3. For each site the activations that it reads are gathered once, in the order of the
 * weights: [ky][kx][i].
 */
export function conv(layer: Conv, input: Patch, extent: Extent, output: Rect, quality: number): Patch {
  const { kernel, inputs, outputs, weight, bias, shift, limit } = layer;
  const out = emptyPatch(output, outputs);
  const biasRow = layer.biasRows > 1 ? (quality - 1) * outputs : 0;
  const taps = new Int16Array(kernel * kernel * inputs);
  for (let y = 0, at = 0; y < output.height; y++) {
    for (let x = 0; x < output.width; x++) {
      gather(taps, kernel, input, extent, output.top + y, output.left + x);
      for (let o = 0; o < outputs; o++) {
        let accumulator = bias[biasRow + o]!;
        const first = o * taps.length;
        for (let i = 0; i < taps.length; i++) accumulator = (accumulator + weight[first + i]! * taps[i]!) | 0;
        const value = clamp(round(accumulator, shift), limit);
        out.data[at++] = layer.leaky ? leaky(value) : value;
      }
    }
  }
  return out;
}

/** All channels of the kernel x kernel sites around (y, x), row by row; zeros outside the extent. */
function gather(taps: Int16Array, kernel: number, input: Patch, extent: Extent, y: number, x: number): void {
  const radius = (kernel - 1) / 2;
  const { rect, channels, data } = input;
  let at = 0;
  for (let r = y - radius; r <= y + radius; r++) {
    for (let c = x - radius; c <= x + radius; c++, at += channels) {
      if (r < 0 || r >= extent.height || c < 0 || c >= extent.width) {
        taps.fill(0, at, at + channels);
      } else {
        const from = ((r - rect.top) * rect.width + c - rect.left) * channels;
        for (let i = 0; i < channels; i++) taps[at + i] = data[from + i]!;
      }
    }
  }
}

/**
 * `residual` of spec 3.3: clamp(in + second(first(in))). `second` reads one site more on each side than it
 * makes.
 */
function residual(layer: Residual, input: Patch, extent: Extent, output: Rect, quality: number): Patch {
  const inner = conv(layer.first, input, extent, grow(output, 1, extent), quality);
  return addClamped(crop(input, output), conv(layer.second, inner, extent, output, quality), layer.limit);
}

/** clamp(a + b), in a; both over the same rect. */
export function addClamped(a: Patch, b: Patch, limit: number): Patch {
  for (let i = 0; i < a.data.length; i++) a.data[i] = clamp(a.data[i]! + b.data[i]!, limit);
  return a;
}

/** `row` of spec 3.3: clamp(in + row[q-1][c]). */
export function row(layer: Row, input: Patch, output: Rect, quality: number): Patch {
  const out = crop(input, output);
  const values = layer.row.subarray((quality - 1) * layer.channels, quality * layer.channels);
  for (let i = 0; i < out.data.length; i++) {
    out.data[i] = clamp(out.data[i]! + values[i % layer.channels]!, layer.limit);
  }
  return out;
}

/** `unshuffle` of spec 3.3: out[y][x][(dy*k + dx)*C + c] = in[y*k + dy][x*k + dx][c] */
export function unshuffle(k: number, input: Patch, output: Rect): Patch {
  const { channels } = input;
  const out = emptyPatch(output, k * k * channels);
  let at = 0;
  for (let y = output.top; y < output.top + output.height; y++) {
    for (let x = output.left; x < output.left + output.width; x++) {
      for (let d = 0; d < k * k; d++, at += channels) {
        const from = position(input, y * k + Math.floor(d / k), x * k + (d % k));
        out.data.set(input.data.subarray(from, from + channels), at);
      }
    }
  }
  return out;
}

/** `shuffle` of spec 3.3: out[y*k + dy][x*k + dx][c] = in[y][x][(dy*k + dx)*C + c] */
function shuffle(k: number, input: Patch, output: Rect): Patch {
  const channels = input.channels / (k * k);
  const out = emptyPatch(output, channels);
  let at = 0;
  for (let y = output.top; y < output.top + output.height; y++) {
    for (let x = output.left; x < output.left + output.width; x++, at += channels) {
      const part = (y % k) * k + (x % k);
      const from = position(input, Math.floor(y / k), Math.floor(x / k)) + part * channels;
      out.data.set(input.data.subarray(from, from + channels), at);
    }
  }
  return out;
}

/** A copy of `rect`, which lies inside the patch. */
export function crop({ rect: from, channels, data }: Patch, rect: Rect): Patch {
  return { rect, channels, data: cut(data, from, rect, channels) };
}

/** Index of the first channel of site (y, x). */
function position({ rect, channels }: Patch, y: number, x: number): number {
  return ((y - rect.top) * rect.width + x - rect.left) * channels;
}

function emptyPatch(rect: Rect, channels: number): Patch {
  return { rect, channels, data: new Int16Array(rect.height * rect.width * channels) };
}
