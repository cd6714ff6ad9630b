import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { decodeImage } from '../../src/decode.ts';
import { encodeImage } from '../../src/encode.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { bdRate, msSsimDecibels, type RatePoint } from '../../src/metrics/bd-rate.ts';
import { msSsim } from '../../src/metrics/ms-ssim.ts';
import { psnr } from '../../src/metrics/psnr.ts';
import type { Model } from '../../src/network/model.ts';
import { mean, table } from './rd-report.ts';
import { readRgb } from './read-rgb.ts';

const QUALITIES = [1, 20, 40, 60, 80, 100];
/** A smaller growth of files is noise of rounding. */
const TOLERANCE = 0.001;
const MEASURES = ['psnr', 'msSsim'] as const;

interface Point {
  readonly bitsPerPixel: number;
  /** dB. */
  readonly psnr: number;
  /** dB. */
  readonly msSsim: number;
}

export interface Comparison {
  readonly report: string[];
  /** Nowhere worse, and somewhere better. */
  readonly better: boolean;
  /** Nowhere worse. */
  readonly equal: boolean;
}

/**
 * Compares files of two models on the pictures of a folder: at each quality, how much larger the candidate's files are at equal PSNR and at equal MS-SSIM. The
 * mean of both decides.
 */
export async function compareModels(kept: Model, candidate: Model, folder: string): Promise<Comparison> {
  const names = readdirSync(folder).filter((name) => /\.(png|jpe?g|webp)$/.test(name));
  const [before, after] = [await measure(kept, folder, names), await measure(candidate, folder, names)];
  const [old, fresh] = [meanCurve(before), meanCurve(after)];
  const growths = fresh.map((point) => MEASURES.map((by) => growth(old, point, by)));
  const changes = growths.map(mean);
  const equal = changes.every((change) => change <= TOLERANCE);
  const rows = QUALITIES.map((quality, i) => [
    String(quality),
    ...[old[i]!, fresh[i]!].flatMap((point) => [
      point.bitsPerPixel.toFixed(4),
      point.psnr.toFixed(3),
      point.msSsim.toFixed(3),
    ]),
    ...growths[i]!.map(percent),
    percent(changes[i]!),
  ]);
  const rates = MEASURES.map((by) =>
    percent(mean(names.map((_, n) => bdRate(curve(before[n]!, by), curve(after[n]!, by))))),
  );
  return {
    report: [
      `${names.length} validation pictures, real files; sizes of the candidate's at equal PSNR, at equal MS-SSIM, and their mean.`,
      '',
      ...table(
        [
          'quality',
          'now: bits a pixel',
          'PSNR dB',
          'MS-SSIM dB',
          'candidate: bits a pixel',
          'PSNR dB',
          'MS-SSIM dB',
          'by PSNR',
          'by MS-SSIM',
          'mean',
        ],
        rows,
      ),
      '',
      `BD-rate, mean of the pictures: ${rates[0]} by PSNR, ${rates[1]} by MS-SSIM.`,
    ],
    equal,
    better: equal && changes.some((change) => change < -TOLERANCE),
  };
}

function meanCurve(pictures: readonly Point[][]): Point[] {
  const of = (i: number, part: keyof Point) => mean(pictures.map((points) => points[i]![part]));
  return QUALITIES.map((_, i) => ({
    bitsPerPixel: of(i, 'bitsPerPixel'),
    psnr: of(i, 'psnr'),
    msSsim: of(i, 'msSsim'),
  }));
}

/** Share of bits that `point` takes more than `curve` at equal likeness. Beyond its ends the curve goes on through its last two points. */
function growth(curve: readonly Point[], point: Point, by: (typeof MEASURES)[number]): number {
  let upper = 1;
  while (upper < curve.length - 1 && curve[upper]![by] < point[by]) upper++;
  const [a, b] = [curve[upper - 1]!, curve[upper]!];
  const share = (point[by] - a[by]) / (b[by] - a[by]);
  return point.bitsPerPixel / (a.bitsPerPixel * (b.bitsPerPixel / a.bitsPerPixel) ** share) - 1;
}

async function measure(model: Model, folder: string, names: readonly string[]): Promise<Point[][]> {
  const engine = await openEngine(model, { engine: 'wasm' });
  try {
    const pictures: Point[][] = [];
    for (const name of names) {
      const original = await readRgb(join(folder, name));
      const points: Point[] = [];
      for (const quality of QUALITIES) {
        const bytes = await encodeImage(engine, original, { quality });
        const decoded = await decodeImage(bytes, { engine });
        points.push({
          bitsPerPixel: (8 * bytes.length) / (original.width * original.height),
          psnr: psnr(original, decoded),
          msSsim: msSsimDecibels(msSsim(original, decoded).value),
        });
      }
      pictures.push(points);
      process.stderr.write(`${name}, ${pictures.length} of ${names.length}\n`);
    }
    return pictures;
  } finally {
    await engine.close();
  }
}

function curve(points: readonly Point[], by: (typeof MEASURES)[number]): RatePoint[] {
  return points.map((point) => ({ rate: point.bitsPerPixel, quality: point[by] }));
}

function percent(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(100 * value).toFixed(2)} %`;
}
