import { type Measurement, PLAIN } from '../rd-report.ts';
import { groupedBy, mean, table } from '../table.ts';

/**
 * Output of `format-spec/reference/evaluate.py`: bits and PSNR of the float network, by picture and quality.
 */
export interface FloatEstimates {
  readonly pictures: Readonly<
    Record<string, Readonly<Record<string, { readonly bits: number; readonly psnr: number }>>>
  >;
}

/** A file may exceed the estimate by this share, and by so many bytes for header and index. */
const SIZE_BAR = 0.015;
const SIZE_BYTES = 300;
/** Largest loss of PSNR against the float network in dB, up to quality 80 and above. */
const psnrBar = (quality: number) => (quality <= 80 ? 0.05 : 0.15);

/**
 * Compares files of plain rounding with the float network, by quality. The estimate is of plain rounding,
 * too.
 */
export function floatReport(results: readonly Measurement[], estimates: FloatEstimates): string {
  const plain = results.filter(({ codec }) => codec === PLAIN);
  const rows: string[][] = [];
  let failed = 0;
  for (const [quality, files] of groupedBy(plain, (row) => String(row.quality))) {
    const pairs = files.flatMap((file) => {
      const estimate = estimates.pictures[file.picture]?.[quality];
      return estimate ? [{ file, estimate }] : [];
    });
    if (pairs.length === 0) continue;
    const excess = pairs.map(({ file, estimate }) => (file.bytes - SIZE_BYTES) / (estimate.bits / 8) - 1);
    const ratio =
      pairs.reduce((sum, { file }) => sum + file.bytes, 0) /
      pairs.reduce((sum, { estimate }) => sum + estimate.bits / 8, 0);
    const differences = pairs.map(({ file, estimate }) => file.psnr - estimate.psnr);
    const meanBytes = mean(pairs.map(({ file }) => file.bytes));
    const meanBound = mean(pairs.map(({ estimate }) => (1 + SIZE_BAR) * (estimate.bits / 8) + SIZE_BYTES));
    const sizeGood = meanBytes <= meanBound;
    const psnrGood = mean(differences) >= -psnrBar(Number(quality));
    if (!sizeGood || !psnrGood) failed++;
    rows.push([
      quality,
      String(pairs.length),
      `${(100 * (ratio - 1)).toFixed(2)} %`,
      `${(100 * Math.max(...excess)).toFixed(2)} %`,
      sizeGood ? 'yes' : 'NO',
      mean(differences).toFixed(4),
      Math.min(...differences).toFixed(4),
      psnrGood ? 'yes' : 'NO',
    ]);
  }
  if (rows.length === 0) return 'The float estimates have none of these pictures and qualities.';
  return [
    `Against the float network (plain rounding): size within ${100 * SIZE_BAR} % of its estimated bits + ${SIZE_BYTES} bytes, PSNR within 0.05 dB up to quality 80 and 0.15 dB above. ${failed === 0 ? 'All met in the mean of the pictures.' : `${failed} of ${rows.length} qualities miss a bar in the mean of the pictures.`}`,
    '',
    ...table(
      [
        'quality',
        'pictures',
        'size, all',
        `size less ${SIZE_BYTES} bytes, worst`,
        'met',
        'PSNR dB, mean',
        'PSNR dB, worst',
        'met',
      ],
      rows,
    ),
  ].join('\n');
}
