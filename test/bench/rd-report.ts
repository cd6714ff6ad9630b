import { bdRate, msSsimDecibels, type RatePoint } from '../../src/metrics/bd-rate.ts';
import { type PlotCurve, plotSvg } from './plot.ts';
import { groupedBy, mean, percent, table } from './table.ts';

/** One file. */
export interface Measurement {
  readonly picture: string;
  readonly codec: string;
  readonly version: string;
  readonly quality: number;
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
  readonly psnr: number;
  readonly msSsim: number;
  readonly scales: number;
  readonly encodeMs: number;
  readonly decodeMs: number;
}

const COLUMNS = [
  'picture',
  'codec',
  'version',
  'quality',
  'width',
  'height',
  'bytes',
  'psnr',
  'msSsim',
  'scales',
  'encodeMs',
  'decodeMs',
] as const;
/** Encoding with default options. */
export const PLAIN = 'liif';
export const OPTIMIZED = 'liif --optimize';
export const OPTIMIZED_FOR_PSNR = 'liif --optimize-for psnr';
/** Least saving of --optimize, as BD-rate by the measure that it optimizes for. */
const OPTIMIZED_BAR = 0.08;

const TEXT_COLUMNS: readonly string[] = ['picture', 'codec', 'version'];

export const TSV_HEADER = COLUMNS.join('\t');

export function rowOf(measurement: Measurement): string {
  return COLUMNS.map((column) => {
    const value = measurement[column];
    return typeof value === 'number' ? String(Number(value.toFixed(7))) : value;
  }).join('\t');
}

export function measurementOf(row: string): Measurement {
  const cells = row.split('\t');
  if (cells.length !== COLUMNS.length) throw new Error(`a row of ${cells.length} cells: ${row}`);
  return Object.fromEntries(
    COLUMNS.map((column, i) => [column, TEXT_COLUMNS.includes(column) ? cells[i]! : Number(cells[i])]),
  ) as unknown as Measurement;
}

/** Means over pictures of one codec at one quality. */
interface Mean {
  readonly codec: string;
  readonly quality: number;
  readonly bitsPerPixel: number;
  readonly psnr: number;
  readonly msSsim: number;
  readonly encodeMs: number;
  readonly decodeMs: number;
}

export function meansOf(results: readonly Measurement[]): Mean[] {
  const groups = groupedBy(results, ({ codec, quality }) => `${codec}\t${quality}`);
  return [...groups.values()].map((rows) => ({
    codec: rows[0]!.codec,
    quality: rows[0]!.quality,
    bitsPerPixel: mean(rows.map((row) => (8 * row.bytes) / (row.width * row.height))),
    psnr: mean(rows.map((row) => row.psnr)),
    msSsim: mean(rows.map((row) => row.msSsim)),
    encodeMs: mean(rows.map((row) => row.encodeMs)),
    decodeMs: mean(rows.map((row) => row.decodeMs)),
  }));
}

/** Tables in Markdown: means by quality, and BD-rates. */
export function rateReport(results: readonly Measurement[]): string {
  const means = meansOf(results);
  const lines = table(
    ['codec', 'quality', 'bits per pixel', 'PSNR dB', 'MS-SSIM', 'MS-SSIM dB', 'encode ms', 'decode ms'],
    means.map((row) => [
      row.codec,
      String(row.quality),
      row.bitsPerPixel.toFixed(4),
      row.psnr.toFixed(3),
      row.msSsim.toFixed(5),
      msSsimDecibels(row.msSsim).toFixed(2),
      row.encodeMs.toFixed(0),
      row.decodeMs.toFixed(0),
    ]),
  );
  const codecs = [...new Set(means.map(({ codec }) => codec))];
  const pairs = [
    ...codecs.filter((codec) => codec !== 'JPEG').map((codec) => [codec, 'JPEG'] as const),
    ...codecs
      .filter((codec) => codec !== 'JPEG' && !codec.startsWith('liif'))
      .flatMap((codec) => [[PLAIN, codec] as const, [OPTIMIZED, codec] as const]),
    [OPTIMIZED, PLAIN] as const,
    [OPTIMIZED_FOR_PSNR, PLAIN] as const,
  ].filter((pair) => pair.every((codec) => codecs.includes(codec)));
  const measures = [
    (row: { psnr: number }) => row.psnr,
    (row: { msSsim: number }) => msSsimDecibels(row.msSsim),
  ];
  const rates = pairs.map(([test, anchor]) => [
    test,
    anchor,
    ...measures.flatMap((measure) => [
      rateText(() => bdRate(curveOfMeans(means, anchor, measure), curveOfMeans(means, test, measure))),
      rateText(() => meanOfPictures(results, anchor, test, measure)),
    ]),
  ]);
  return [
    ...lines,
    '',
    'BD-rate: mean difference in size at equal quality, negative is smaller; of the curves of means, and the mean of the pictures.',
    '',
    ...table(['codec', 'against', 'PSNR', 'PSNR, by picture', 'MS-SSIM', 'MS-SSIM, by picture'], rates),
    '',
    ...verdicts(results, means),
  ].join('\n');
}

/** The bars of the report, and whether each is met. */
function verdicts(results: readonly Measurement[], means: readonly Mean[]): string[] {
  const lines: string[] = [];
  const byPsnr = (codec: string) => curveOfMeans(means, codec, (row) => row.psnr);
  const optimized = [
    [OPTIMIZED, 'MS-SSIM', (row: Measurement) => msSsimDecibels(row.msSsim)],
    [OPTIMIZED_FOR_PSNR, 'PSNR', (row: Measurement) => row.psnr],
  ] as const;
  for (const [codec, name, measure] of optimized) {
    const rate = meanOfPictures(results, PLAIN, codec, measure);
    lines.push(
      `- ${codec} saves at least ${100 * OPTIMIZED_BAR} % at equal ${name}: ${rate <= -OPTIMIZED_BAR ? 'yes' : 'NO'} (${percent(rate)})`,
    );
  }
  const anchor = byPsnr('JPEG');
  const below = byPsnr(PLAIN).filter(({ rate, quality }) => quality <= at(anchor, rate));
  lines.push(
    `- ${PLAIN} is above JPEG at every rate: ${below.length === 0 ? 'yes' : `NO, not at ${below.map(({ rate }) => rate.toFixed(2)).join(', ')} bits per pixel`}`,
  );
  return lines;
}

/** Quality of a curve at a rate, linear between its points, and constant beyond its ends. */
function at(curve: readonly RatePoint[], rate: number): number {
  const points = [...curve].sort((a, b) => a.rate - b.rate);
  const next = points.findIndex((point) => point.rate >= rate);
  if (next <= 0) return (next === 0 ? points[0]! : points.at(-1)!).quality;
  const [low, high] = [points[next - 1]!, points[next]!];
  return low.quality + ((rate - low.rate) / (high.rate - low.rate)) * (high.quality - low.quality);
}

/** PSNR and MS-SSIM (in dB) over bits per pixel. */
export function ratePlots(results: readonly Measurement[]): { psnr: string; msSsim: string } {
  const means = meansOf(results);
  const styles: Readonly<Record<string, Omit<PlotCurve, 'name' | 'points'>>> = {
    [OPTIMIZED]: { color: '#e2572b', width: 1.5, dash: '5 4' },
    [PLAIN]: { color: '#e2572b', width: 3 },
    AVIF: { color: '#3d87cf' },
    WebP: { color: '#2a9d77' },
    mozjpeg: { color: '#b3892b' },
    JPEG: { color: '#8d8d8d' },
  };
  const reach = Math.max(
    ...means.filter(({ codec, quality }) => codec === PLAIN && quality <= 95).map((row) => row.bitsPerPixel),
  );
  const xMax = Math.ceil(Math.min(3, reach) * 4) / 4;
  const curves = (measure: (row: Mean) => number): PlotCurve[] =>
    Object.entries(styles).map(([name, style]) => ({
      name,
      ...style,
      points: means
        .filter(({ codec }) => codec === name)
        .map((row) => ({ x: row.bitsPerPixel, y: measure(row) }))
        .sort((a, b) => a.x - b.x),
    }));
  const pictures = new Set(results.map(({ picture }) => picture)).size;
  const common = { xLabel: 'bits per pixel (whole files)', xMax };
  return {
    psnr: plotSvg(
      curves((row) => row.psnr),
      {
        ...common,
        title: `PSNR, mean of ${pictures} pictures`,
        yLabel: 'PSNR of RGB, dB',
      },
    ),
    msSsim: plotSvg(
      curves((row) => msSsimDecibels(row.msSsim)),
      {
        ...common,
        title: `MS-SSIM, mean of ${pictures} pictures`,
        yLabel: 'MS-SSIM, −10 log₁₀(1 − value), dB',
      },
    ),
  };
}

function curveOfMeans(means: readonly Mean[], codec: string, measure: (row: Mean) => number): RatePoint[] {
  return means
    .filter((row) => row.codec === codec)
    .map((row) => ({ rate: row.bitsPerPixel, quality: measure(row) }));
}

function meanOfPictures(
  results: readonly Measurement[],
  anchor: string,
  test: string,
  measure: (row: Measurement) => number,
): number {
  const rates: number[] = [];
  for (const rows of groupedBy(results, ({ picture }) => picture).values()) {
    const curve = (codec: string) =>
      rows.filter((row) => row.codec === codec).map((row) => ({ rate: row.bytes, quality: measure(row) }));
    rates.push(bdRate(curve(anchor), curve(test)));
  }
  return mean(rates);
}

/**
 * Curves that cannot be compared (too few qualities, none in common) leave a gap in the table, not in the
 * run.
 */
function rateText(rate: () => number): string {
  try {
    return percent(rate());
  } catch (error) {
    return `(${(error as Error).message})`;
  }
}
