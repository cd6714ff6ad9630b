import { psnrTarget, searchQuality, sizeTarget, type Target } from './analysis/rate-control.ts';
import { MemorySink, type Sink } from './container/write.ts';
import { decodeImage } from './decode.ts';
import type { EncodeSummary } from './encode.ts';
import { type EncodeOptions, measureOf, stepsOf } from './encode-options.ts';
import type { Engine } from './engine/engine.ts';
import { RequestError } from './errors.ts';
import { depthOf, type Raster } from './image/raster.ts';
import { psnr } from './metrics/psnr.ts';

/** Trials that a search takes, about: over all qualities, and from one that is near. */
const TRIALS = 4;
const TRIALS_NEARBY = 3;

/** A trial of a search. `psnr` is NaN unless the target is one. */
interface Encoded {
  readonly bytes: Uint8Array;
  readonly summary: EncodeSummary;
  readonly psnr: number;
}

/**
 * Searches for the quality that meets the target of the options. `encodeAt` encodes the picture, `raster`, at
 * a quality into a sink. Rejects with RequestError where the target cannot be met.
 */
export async function encodeToTarget(
  engine: Engine,
  raster: Raster,
  options: EncodeOptions,
  encodeAt: (sink: Sink, quality: number, how: EncodeOptions) => Promise<EncodeSummary>,
): Promise<Encoded> {
  const { targetSize, targetPsnr, onProgress, ...rest } = options;
  if (targetPsnr !== undefined && !engine.exact)
    throw new RequestError(
      `A quality for a PSNR is found by decoding, and the ${engine.name} engine is not exact: the file would depend on the machine`,
    );
  const trial = async (quality: number, how: EncodeOptions): Promise<Encoded> => {
    const sink = new MemorySink();
    const summary = await encodeAt(sink, quality, how);
    const bytes = sink.bytes();
    if (targetPsnr === undefined) return { bytes, summary, psnr: Number.NaN };
    const decoded = await decodeImage(bytes, {
      engine,
      depth: depthOf(raster),
      ...(options.signal && { signal: options.signal }),
    });
    return { bytes, summary, psnr: psnr(raster, decoded) };
  };
  const target: Target<Encoded> = targetSize !== undefined ? sizeTarget(targetSize) : psnrTarget(targetPsnr!);
  const optimizes = stepsOf(options) > 0;
  const total = TRIALS + (optimizes ? TRIALS_NEARBY : 0);
  let trials = 0;
  const search = (how: EncodeOptions, near?: number) =>
    searchQuality(
      (quality) => trial(quality, how),
      target,
      () => onProgress?.({ stage: 'search', done: Math.min(trials++, total - 1), total }),
      near,
    );
  // Optimizing takes long and moves the quality by little: search without it first.
  const near = optimizes ? await search({ ...rest, optimize: false }) : undefined;
  const found = await search({ ...rest, optimizeFor: measureOf(options) }, near?.quality);
  if (!found.met)
    throw new RequestError(
      targetSize !== undefined
        ? `The picture does not fit into ${targetSize} bytes: at quality ${found.quality} it takes ${found.result.bytes.length}`
        : `A PSNR of ${decibels(targetPsnr!)} cannot be reached: quality ${found.quality}, the best that was tried, gives ${decibels(found.result.psnr)}`,
    );
  onProgress?.({ stage: 'search', done: 1, total: 1 });
  return found.result;
}

function decibels(psnr: number): string {
  return `${Math.round(psnr * 1000) / 1000} dB`;
}
