import type { Engine, Extent, Patch, Rect } from '../engine/engine.ts';
import { copyOverlap, cut } from '../network/window.ts';
import { inParallel } from '../parallel.ts';

/**
 * The latents that a decoder gets from an analysis output, and what one symbol more of each would cost, in
 * 1/256 bit.
 */
export interface CodedWindow {
  readonly latents: Patch;
  readonly slopes: Int16Array;
}

/** Codes a window of latents chunk by chunk; of a chunk on its border, the part inside. */
export async function codeWindow(
  engine: Engine,
  { rect, channels, data }: Patch,
  chunkSize: number,
  quality: number,
  signal?: AbortSignal,
): Promise<CodedWindow> {
  const latents = { rect, channels, data: new Int16Array(data.length) };
  const slopes = new Int16Array(data.length);
  const pieces = spans(rect.top, rect.height, chunkSize).flatMap(([top, height]) =>
    spans(rect.left, rect.width, chunkSize).map(([left, width]): Rect => ({ top, left, height, width })),
  );
  await inParallel(engine.threads, pieces, async (piece) => {
    const extent: Extent = { height: piece.height, width: piece.width };
    const window = cut(data, rect, piece, channels);
    const coded = await engine.encodeChunk(window, extent, quality, signal);
    copyOverlap(coded.latents, piece, latents.data, rect, channels);
    copyOverlap(coded.slopes, piece, slopes, rect, channels);
  });
  return { latents, slopes };
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
