import { cropped, type Raster } from '../../image/raster.ts';
import { readImage } from '../../image/read.ts';
import type { Model } from '../../network/model.ts';
import { compareModels, type ModelComparison, type QualityPoint } from '../../train/compare-models.ts';
import { interruption } from '../interruption.ts';
import type { Terminal } from '../terminal.ts';

/** Pixels. Of a longer side the middle is compared. */
const LARGEST_SIDE = 1024;
/**
 * The qualities of the comparison, as shares of the range that a model was tuned for. A BD-rate needs four.
 */
const PLACES = [0.2, 0.4, 0.6, 0.8, 0.95];

/**
 * Compares real files of both models on pictures that were held out, at qualities within `[low, high]`. A
 * picture that cannot be read is skipped with a warning.
 */
export function compareOn(
  pictures: readonly string[],
  [base, tuned]: readonly [Model, Model],
  [low, high]: readonly [number, number],
  terminal: Terminal,
): Promise<ModelComparison> {
  const signal = interruption();
  async function* rasters() {
    for (const path of pictures) {
      const image = await readImage(path, { signal }).catch((error: Error) => {
        signal.throwIfAborted();
        terminal.warning(`${error.message}; not compared`);
      });
      if (image) yield middleOf(image.raster);
    }
  }
  const qualities = PLACES.map((place) => Math.round(low + place * (high - low)));
  return terminal.progress(`Comparing ${pictures.length} pictures that were held out`, (onProgress) =>
    compareModels(base, tuned, rasters(), {
      qualities,
      signal,
      onProgress: (done) => onProgress({ done, total: pictures.length }),
    }),
  );
}

/** The comparison as lines of text. */
export function comparisonText({ points, bdRate, enlarged }: ModelComparison): string {
  const lines = points.map(
    ({ quality, base, tuned }) =>
      `  quality ${String(quality).padStart(3)}: ${base.bitsPerPixel.toFixed(3)} bits per pixel, ${decibels(base)}` +
      ` -> ${tuned.bitsPerPixel.toFixed(3)}, ${decibels(tuned)}`,
  );
  for (const [name, { mean }] of [
    ['PSNR', bdRate.psnr],
    ['MS-SSIM', bdRate.msSsim],
  ] as const)
    if (mean !== undefined) lines.push(`  files at equal ${name}: ${percentText(mean)}`);
  lines.push(`  enlarged twice: ${enlarged.base.toFixed(2)} dB -> ${enlarged.tuned.toFixed(2)} dB`);
  return lines.join('\n');
}

/** Whether the new weights make smaller files, on the mean of equal PSNR and equal MS-SSIM. */
export function isBetter({ bdRate }: ModelComparison): boolean {
  const rates = [bdRate.psnr.mean, bdRate.msSsim.mean].filter((rate) => rate !== undefined);
  return rates.reduce((sum, rate) => sum + rate, 0) < 0;
}

function decibels({ psnr, msSsim }: QualityPoint): string {
  return `PSNR ${psnr.toFixed(2)}${msSsim === undefined ? '' : `, MS-SSIM ${msSsim.toFixed(2)}`} dB`;
}

function percentText(share: number): string {
  return `${share > 0 ? '+' : ''}${(100 * share).toFixed(1)} %`;
}

/** The middle of a picture, at most LARGEST_SIDE wide and high. */
function middleOf(raster: Raster): Raster {
  const width = Math.min(LARGEST_SIDE, raster.width);
  const height = Math.min(LARGEST_SIDE, raster.height);
  if (width === raster.width && height === raster.height) return raster;
  const left = Math.floor((raster.width - width) / 2);
  const top = Math.floor((raster.height - height) / 2);
  return cropped(raster, { left, top, width, height });
}
