import type { Layer, Model, Row, Unshuffle } from '../../network/model.ts';
import { analysisWindow, layerExtents, layerWindows, paddedExtent } from '../../network/window.ts';
import { expectCover, expectEncoder } from '../arguments.ts';
import type { Extent, Patch, Rect } from '../engine.ts';
import { crop, row, unshuffle } from '../reference/layers.ts';

/** The rest of an analysis, for the device. */
export interface AnalysisStart {
  readonly layers: readonly Layer[];
  readonly input: Patch;
  /** Of the tensor that `input` is a window of. */
  readonly extent: Extent;
}

/**
 * Runs the first layers of an analysis on the processor, as long as channels are odd in number: the device
 * computes with pairs of channels. Those are rows and unshuffles, since convolutions read an even number.
 * Throws RequestError, and UnsupportedError for a model that cannot encode.
 */
export function analysisStart(
  model: Model,
  pixels: Patch,
  picture: Extent,
  latents: Rect,
  quality: number,
): AnalysisStart {
  expectEncoder(model);
  const { analysis } = model;
  const extent = paddedExtent(model, picture);
  expectCover(pixels, analysisWindow(model, latents, picture), 3, 'pixels');
  const windows = layerWindows(analysis, latents, extent);
  let input = crop(pixels, windows[0]!);
  let first = 0;
  for (; input.channels % 2 === 1; first++) {
    const layer = analysis[first] as Row | Unshuffle;
    const window = windows[first + 1]!;
    input = layer.op === 'row' ? row(layer, input, window, quality) : unshuffle(layer.factor, input, window);
  }
  return { layers: analysis.slice(first), input, extent: layerExtents(analysis, extent)[first]! };
}
