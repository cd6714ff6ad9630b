import { decodeImage } from '../decode.ts';
import { encodeImage } from '../encode.ts';
import type { Engine } from '../engine/engine.ts';
import { openEngine } from '../engine/open-engine.ts';
import { RequestError } from '../errors.ts';
import { depthOf, type Raster } from '../image/raster.ts';
import { reduce } from '../image/reduce.ts';
import { bdRate, type RatePoint } from '../metrics/bd-rate.ts';
import { psnr } from '../metrics/psnr.ts';
import type { Model } from '../network/model.ts';

/** Means over pictures. */
export interface MeanPoint {
  /** Of whole files. */
  readonly bitsPerPixel: number;
  /** dB, over all samples. */
  readonly psnr: number;
}

export interface ModelComparison {
  readonly pictures: number;
  /** In the order that was asked for. */
  readonly points: readonly {
    readonly quality: number;
    readonly base: MeanPoint;
    readonly tuned: MeanPoint;
  }[];
  /**
   * Mean of the pictures' BD-rates: -0.1 where the tuned model needs 10 % less at equal PSNR. A picture that looks worse at every quality than
   * it did at any counts as Infinity, the other way round as -1. Undefined where no picture has a rate: one of a
   * single pixel, for instance, may have no curve.
   */
  readonly bdRate: number | undefined;
  /** How many pictures `bdRate` is the mean of. */
  readonly bdRatePictures: number;
  /** Mean PSNR in dB of pictures that were halved, encoded at quality 90 and decoded at scale 2, beside the pictures. */
  readonly enlarged: { readonly base: number; readonly tuned: number };
}

export interface CompareModelsOptions {
  /** At least 4, each once; default 20, 40, 60, 80, 95. */
  readonly qualities?: readonly number[];
  readonly signal?: AbortSignal;
  /** How many pictures are done, in fractions: their number is the caller's to know. */
  readonly onProgress?: (pictures: number) => void;
}

const QUALITIES = [20, 40, 60, 80, 95];
const ENLARGED_QUALITY = 90;
/** What a picture that came back unchanged counts as, so that means stay finite. */
const MAX_PSNR = 100;

/** One picture with one model. */
interface Measurement {
  /** One for each quality: bits per pixel and PSNR. */
  readonly curve: readonly RatePoint[];
  readonly enlarged: number;
}

/**
 * Files of two models on pictures that neither has been trained on, by the exact engine that `auto` takes. Both models are open at the same time,
 * and each picture is let go before the next one is asked for. Rejects with RequestError for no pictures or unfit qualities, with EngineError,
 * with the signal's reason, and with what `pictures` rejects with; engines are closed before.
 */
export async function compareModels(
  base: Model,
  tuned: Model,
  pictures: AsyncIterable<Raster> | Iterable<Raster>,
  options: CompareModelsOptions = {},
): Promise<ModelComparison> {
  const { qualities = QUALITIES, signal, onProgress } = options;
  if (new Set(qualities).size !== qualities.length || qualities.length < 4)
    throw new RequestError(`Expected at least 4 different qualities but received ${qualities.join(', ')}`);
  const engines: Engine[] = [];
  const results: (readonly [Measurement, Measurement])[] = [];
  try {
    for (const model of [base, tuned])
      engines.push(await openEngine(model, { engine: 'auto', mustBeExact: true, ...(signal && { signal }) }));
    for await (const picture of pictures) {
      let files = 0;
      const onFile = () => onProgress?.(results.length + ++files / (2 * (qualities.length + 1)));
      const before = await measure(engines[0]!, picture, qualities, onFile, signal);
      const after = await measure(engines[1]!, picture, qualities, onFile, signal);
      results.push([before, after]);
    }
  } finally {
    await Promise.all(engines.map((engine) => engine.close()));
  }
  if (results.length === 0) throw new RequestError('Expected at least one picture to compare models by');
  return summarize(qualities, results);
}

async function measure(
  engine: Engine,
  picture: Raster,
  qualities: readonly number[],
  onFile: () => void,
  signal: AbortSignal | undefined,
): Promise<Measurement> {
  const { width, height } = picture;
  const call = { ...(signal && { signal }) };
  const decoding = { engine, depth: depthOf(picture), ...call };
  const curve: RatePoint[] = [];
  for (const quality of qualities) {
    const bytes = await encodeImage(engine, picture, { quality, ...call });
    const decoded = await decodeImage(bytes, decoding);
    curve.push({ rate: (8 * bytes.length) / (width * height), quality: distance(picture, decoded) });
    onFile();
  }
  const half = await encodeImage(engine, reduce(picture, 2), { quality: ENLARGED_QUALITY, ...call });
  // Of an odd side the last half pixel lies outside.
  const region = { x: 0, y: 0, width: width / 2, height: height / 2 };
  const enlarged = distance(picture, await decodeImage(half, { ...decoding, region, scale: 2 }));
  onFile();
  return { curve, enlarged };
}

function distance(picture: Raster, decoded: Raster): number {
  return Math.min(MAX_PSNR, psnr(picture, decoded));
}

function summarize(
  qualities: readonly number[],
  results: readonly (readonly [Measurement, Measurement])[],
): ModelComparison {
  const meanPoint = (which: 0 | 1, i: number): MeanPoint => ({
    bitsPerPixel: mean(results.map((result) => result[which].curve[i]!.rate)),
    psnr: mean(results.map((result) => result[which].curve[i]!.quality)),
  });
  const rates = results
    .map(([before, after]) => bdRateOf(before.curve, after.curve))
    .filter((rate) => rate !== undefined);
  return {
    pictures: results.length,
    points: qualities.map((quality, i) => ({ quality, base: meanPoint(0, i), tuned: meanPoint(1, i) })),
    bdRate: rates.length > 0 ? mean(rates) : undefined,
    bdRatePictures: rates.length,
    enlarged: {
      base: mean(results.map(([before]) => before.enlarged)),
      tuned: mean(results.map(([, after]) => after.enlarged)),
    },
  };
}

/** Undefined where a curve has two points of one PSNR. */
function bdRateOf(before: readonly RatePoint[], after: readonly RatePoint[]): number | undefined {
  const [old, fresh] = [before, after].map((curve) => curve.map(({ quality }) => quality)) as [
    number[],
    number[],
  ];
  if ([old, fresh].some((qualities) => new Set(qualities).size < qualities.length)) return undefined;
  if (Math.max(...fresh) <= Math.min(...old)) return Number.POSITIVE_INFINITY;
  if (Math.min(...fresh) >= Math.max(...old)) return -1;
  return bdRate(before, after);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
