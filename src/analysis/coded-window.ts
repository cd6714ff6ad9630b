import type { Engine, Extent, Patch, Rect } from '../engine/engine.ts';
import { hyperRect } from '../network/chunk-size.ts';
import { copyOverlap, cut, overlaps } from '../network/window.ts';
import { inParallel } from '../parallel.ts';
import { type RateGradient, rateGradient } from './rate-gradient.ts';

/** What coding makes of an analysis output. */
export interface CodedWindow {
  /** What a decoder gets. */
  readonly latents: Patch;
  /** Of the chunks in `rated`: what was coded as hyper latents, before it was rounded and after. */
  readonly hyper: Int16Array;
  readonly hyperLatents: Int16Array;
  /** Of the latents in `rated`, and of their hyper latents. */
  readonly rates: RateGradient;
}

/**
 * Codes a window of latents chunk by chunk; of a chunk on its border, the part inside. `rated`: the whole
 * chunks whose bits count. `hyper`: what to code as their hyper latents; default: what hyper analysis makes of
 * the window.
 */
export async function codeWindow(
  engine: Engine,
  { rect, channels, data }: Patch,
  rated: Rect,
  hyper: Int16Array | undefined,
  chunkSize: number,
  quality: number,
  signal?: AbortSignal,
): Promise<CodedWindow> {
  const { model } = engine;
  const { hyperChannels } = model;
  const latents = { rect, channels, data: new Int16Array(data.length) };
  const ratedHyper = hyperRect(model, rated);
  const hyperLength = ratedHyper.height * ratedHyper.width * hyperChannels;
  const found = { hyper: new Int16Array(hyperLength), hyperLatents: new Int16Array(hyperLength) };
  const rates = {
    latents: new Float64Array(rated.height * rated.width * channels),
    hyper: new Float64Array(hyperLength),
  };
  const pieces = spans(rect.top, rect.height, chunkSize).flatMap(([top, height]) =>
    spans(rect.left, rect.width, chunkSize).map(([left, width]): Rect => ({ top, left, height, width })),
  );
  await inParallel(engine.threads, pieces, async (piece) => {
    const extent: Extent = { height: piece.height, width: piece.width };
    const analysis = cut(data, rect, piece, channels);
    const counts = overlaps(piece, rated);
    const place = hyperRect(model, piece);
    const given = counts && hyper ? cut(hyper, ratedHyper, place, hyperChannels) : undefined;
    const coded = await engine.encodeChunk(analysis, extent, quality, given, signal);
    copyOverlap(coded.latents, piece, latents.data, rect, channels);
    if (!counts) return;
    const { rate } = coded;
    const gradient = await rateGradient(engine, { extent, latents: coded.latents, rate }, quality, signal);
    copyOverlap(gradient.latents, piece, rates.latents, rated, channels);
    copyOverlap(gradient.hyper, place, rates.hyper, ratedHyper, hyperChannels);
    copyOverlap(rate.hyper, place, found.hyper, ratedHyper, hyperChannels);
    copyOverlap(rate.hyperLatents, place, found.hyperLatents, ratedHyper, hyperChannels);
  });
  return { latents, ...found, rates };
}

/** Cuts start .. start+length at the multiples of `size`, into starts and lengths. */
function spans(start: number, length: number, size: number): [number, number][] {
  const found: [number, number][] = [];
  for (let from = start; from < start + length; ) {
    const to = Math.min(start + length, (Math.floor(from / size) + 1) * size);
    found.push([from, to - from]);
    from = to;
  }
  return found;
}
