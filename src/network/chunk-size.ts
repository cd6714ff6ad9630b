import type { Extent, Rect } from '../engine/engine.ts';
import type { Model } from './model.ts';

/** How much a chunk of a model can hold. Spec 2.1, 3.6. */

/** Rows and columns of a chunk's hyper latents. */
export function hyperExtent(model: Model, chunk: Extent): Extent {
  return {
    height: Math.ceil(chunk.height / model.hyperStride),
    width: Math.ceil(chunk.width / model.hyperStride),
  };
}

/** The hyper latents of whole chunks, which begin at multiples of `hyperStride`. */
export function hyperRect(model: Model, latents: Rect): Rect {
  const { hyperStride } = model;
  const { top, left } = latents;
  return { top: top / hyperStride, left: left / hyperStride, ...hyperExtent(model, latents) };
}

/** How many symbols a chunk has, those of empty tables included. */
export function symbolCount(model: Model, chunk: Extent): number {
  const hyper = hyperExtent(model, chunk);
  return hyper.height * hyper.width * model.hyperChannels + chunk.height * chunk.width * model.latentChannels;
}

/**
 * Bytes of the longest chunk with so many symbols: four states and, generously, eight bytes for each symbol.
 */
export function maxChunkBytes(symbols: number): number {
  return 16 + 8 * symbols;
}
