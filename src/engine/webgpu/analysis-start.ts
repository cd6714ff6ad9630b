import type { Layer, Model, Row, Unshuffle } from '../../network/model.ts';
import { analysisWindow, layerExtents, layerWindows, paddedExtent } from '../../network/window.ts';
import { expectCover, expectEncoder } from '../arguments.ts';
import type { Extent, Patch, Rect } from '../engine.ts';
import { crop, row, unshuffle } from '../reference/layers.ts';

/** An analysis from where the device goes on with it. */
export interface AnalysisStart {
  readonly layers: readonly Layer[];
  readonly input: Patch;
  /** Of what `input` is a window of. */
  readonly extent: Extent;
}

/**
 * The first layers of an analysis: an odd number of channels does not go into the pairs that the device computes with; convolutions have an even one. Throws
 * RequestError, or UnsupportedError for a model that cannot encode.
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
