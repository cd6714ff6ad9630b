import { decodeImage } from '../decode.ts';
import { encodeImage } from '../encode.ts';
import type { Engine } from '../engine/engine.ts';
import { openEngine } from '../engine/open-engine.ts';
import { RequestError } from '../errors.ts';
import { depthOf, type Raster } from '../image/raster.ts';
import { reduce } from '../image/reduce.ts';
import { bdRate, msSsimDecibels } from '../metrics/bd-rate.ts';
import { msSsim, SMALLEST_SIDE } from '../metrics/ms-ssim.ts';
import { psnr } from '../metrics/psnr.ts';
import type { Model } from '../network/model.ts';

/** Size and likeness at one quality, of a picture or as means over pictures. */
export interface QualityPoint {
  /** Of whole files. */
  readonly bitsPerPixel: number;
  /** dB, over all samples. */
  readonly psnr: number;
  /**
   * dB (`msSsimDecibels`), over the pictures of 11 pixels or more on a side; undefined where there is none.
   */
  readonly msSsim: number | undefined;
}

/** Mean BD-rate of pictures: -0.1 where files of the tuned model are 10 % smaller at equal likeness. */
export interface MeanRate {
  /**
   * A picture whose best likeness is below the worst of the base model counts as Infinity, in the opposite
   * case as -1. Undefined where no picture has a rate; one of a single pixel, for instance, may have no
   * curve.
   */
  readonly mean: number | undefined;
  /** How many pictures have a rate. */
  readonly pictures: number;
}

export interface ModelComparison {
  readonly pictures: number;
  /** In the order of the option `qualities`. */
  readonly points: readonly {
    readonly quality: number;
    readonly base: QualityPoint;
    readonly tuned: QualityPoint;
  }[];
  /** At equal PSNR, and at equal MS-SSIM. */
  readonly bdRate: Readonly<Record<Measure, MeanRate>>;
  /** Mean PSNR in dB of pictures that were halved, encoded at quality 90 and decoded at scale 2. */
  readonly enlarged: { readonly base: number; readonly tuned: number };
}

export interface CompareModelsOptions {
  /** At least 4, each once; default 20, 40, 60, 80, 95. */
  readonly qualities?: readonly number[];
  readonly signal?: AbortSignal;
  /** Called with the number of pictures that are done, fractions included. */
  readonly onProgress?: (pictures: number) => void;
}

type Measure = 'psnr' | 'msSsim';

const QUALITIES = [20, 40, 60, 80, 95];
const ENLARGED_QUALITY = 90;
/** dB of a picture that is unchanged, so that means stay finite. */
const MOST_DECIBELS = 100;

/** One picture with one model. */
interface Measurement {
  /** One for each quality. */
  readonly points: readonly QualityPoint[];
  readonly enlarged: number;
}

/**
 * Compares files of two models on pictures that neither has been trained on, with the exact engine that
 * `auto` takes. Both models are open at the same time; one picture is held at a time. Rejects with
 * RequestError for no pictures or wrong qualities, with EngineError, with the signal's reason, and with the
 * error of `pictures`.
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
  const hasStructure = Math.min(width, height) >= SMALLEST_SIDE;
  const points: QualityPoint[] = [];
  for (const quality of qualities) {
    const bytes = await encodeImage(engine, picture, { quality, ...call });
    const decoded = await decodeImage(bytes, decoding);
    points.push({
      bitsPerPixel: (8 * bytes.length) / (width * height),
      psnr: finite(psnr(picture, decoded)),
      msSsim: hasStructure ? finite(msSsimDecibels(msSsim(picture, decoded).value)) : undefined,
    });
    onFile();
  }
  const half = await encodeImage(engine, await reduce(picture, 2), { quality: ENLARGED_QUALITY, ...call });
  // The half of an odd side is rounded up; the region leaves out the half pixel beyond the picture.
  const region = { x: 0, y: 0, width: width / 2, height: height / 2 };
  const enlarged = finite(psnr(picture, await decodeImage(half, { ...decoding, region, scale: 2 })));
  onFile();
  return { points, enlarged };
}

function finite(decibels: number): number {
  return Math.min(MOST_DECIBELS, decibels);
}

function summarize(
  qualities: readonly number[],
  results: readonly (readonly [Measurement, Measurement])[],
): ModelComparison {
  const meanPoint = (which: 0 | 1, i: number): QualityPoint => {
    const points = results.map((result) => result[which].points[i]!);
    const structures = points.map((point) => point.msSsim).filter((value) => value !== undefined);
    return {
      bitsPerPixel: mean(points.map((point) => point.bitsPerPixel)),
      psnr: mean(points.map((point) => point.psnr)),
      msSsim: structures.length > 0 ? mean(structures) : undefined,
    };
  };
  const meanRate = (by: Measure): MeanRate => {
    const rates = results
      .map(([before, after]) => bdRateOf(before.points, after.points, by))
      .filter((rate) => rate !== undefined);
    return { mean: rates.length > 0 ? mean(rates) : undefined, pictures: rates.length };
  };
  return {
    pictures: results.length,
    points: qualities.map((quality, i) => ({ quality, base: meanPoint(0, i), tuned: meanPoint(1, i) })),
    bdRate: { psnr: meanRate('psnr'), msSsim: meanRate('msSsim') },
    enlarged: {
      base: mean(results.map(([before]) => before.enlarged)),
      tuned: mean(results.map(([, after]) => after.enlarged)),
    },
  };
}

/** Undefined where a curve lacks points or has two of the same likeness. */
function bdRateOf(
  before: readonly QualityPoint[],
  after: readonly QualityPoint[],
  by: Measure,
): number | undefined {
  const curveOf = (points: readonly QualityPoint[]) =>
    points.flatMap((point) => {
      const quality = point[by];
      return quality === undefined ? [] : [{ rate: point.bitsPerPixel, quality }];
    });
  const [anchor, test] = [curveOf(before), curveOf(after)];
  const [old, fresh] = [anchor.map(({ quality }) => quality), test.map(({ quality }) => quality)];
  if ([old, fresh].some((values) => new Set(values).size < before.length)) return undefined;
  if (Math.max(...fresh) <= Math.min(...old)) return Number.POSITIVE_INFINITY;
  if (Math.min(...fresh) >= Math.max(...old)) return -1;
  return bdRate(anchor, test);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
