import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Raster } from '../../src/image/raster.ts';
import type { Model } from '../../src/network/model.ts';
import { compareModels, type ModelComparison, type QualityPoint } from '../../src/train/compare-models.ts';
import { readRgb } from './read-rgb.ts';
import { mean, percent, table } from './table.ts';

const QUALITIES = [1, 20, 40, 60, 80, 100];
/** A smaller growth of files is noise of rounding. */
const TOLERANCE = 0.001;
const MEASURES = ['psnr', 'msSsim'] as const;

export interface Verdict {
  readonly report: string[];
  /** Nowhere worse, and somewhere better. */
  readonly better: boolean;
  /** Nowhere worse. */
  readonly equal: boolean;
}

/**
 * Compares files of two models on the pictures of a folder: at each quality, how much larger the candidate's
 * files are at equal PSNR and at equal MS-SSIM. The mean of both decides.
 */
export async function judgeCandidate(kept: Model, candidate: Model, folder: string): Promise<Verdict> {
  const names = (await readdir(folder)).filter((name) => /\.(png|jpe?g|webp)$/.test(name));
  const comparison = await compareModels(kept, candidate, pictures(folder, names), { qualities: QUALITIES });
  const old = comparison.points.map(({ base }) => base);
  const growths = comparison.points.map(({ tuned }) => MEASURES.map((by) => growth(old, tuned, by)));
  const changes = growths.map(mean);
  const equal = changes.every((change) => change <= TOLERANCE);
  return {
    report: reportOf(comparison, growths),
    equal,
    better: equal && changes.some((change) => change < -TOLERANCE),
  };
}

async function* pictures(folder: string, names: readonly string[]): AsyncGenerator<Raster> {
  for (const [i, name] of names.entries()) {
    process.stderr.write(`${name}, ${i + 1} of ${names.length}\n`);
    yield await readRgb(join(folder, name));
  }
}

function reportOf({ pictures: count, points, bdRate }: ModelComparison, growths: number[][]): string[] {
  const rows = points.map(({ quality, base, tuned }, i) => [
    String(quality),
    ...[base, tuned].flatMap((point) => [
      point.bitsPerPixel.toFixed(4),
      point.psnr.toFixed(3),
      point.msSsim!.toFixed(3),
    ]),
    ...growths[i]!.map(percent),
    percent(mean(growths[i]!)),
  ]);
  const rates = MEASURES.map((by) => percent(bdRate[by].mean ?? Number.NaN));
  return [
    `${count} validation pictures, real files; sizes of the candidate's at equal PSNR, at equal MS-SSIM, and their mean.`,
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
  ];
}

/**
 * Share of bits that `point` takes more than `curve` at equal likeness. Beyond its ends the curve goes on
 * through its last two points.
 */
function growth(curve: readonly QualityPoint[], point: QualityPoint, by: (typeof MEASURES)[number]): number {
  let upper = 1;
  while (upper < curve.length - 1 && curve[upper]![by]! < point[by]!) upper++;
  const [a, b] = [curve[upper - 1]!, curve[upper]!];
  const share = (point[by]! - a[by]!) / (b[by]! - a[by]!);
  return point.bitsPerPixel / (a.bitsPerPixel * (b.bitsPerPixel / a.bitsPerPixel) ** share) - 1;
}
