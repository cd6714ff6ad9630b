/**
 * Decoding at other sizes than the native one, on a folder of pictures.
 *
 *     npm run bench:scale -- FOLDER [--limit N] [--quality 90] [--engine NAME] [-o FILE.md]
 *
 * Enlargement: a picture is reduced by 2, 3 and 4 (bicubic), encoded, and decoded at the original's size;
 * beside it, the native decode enlarged by bicubic and Lanczos resampling. Reduction: the picture is encoded,
 * and decoded at 1/2 and 1/4; beside it, the native decode reduced by bicubic resampling, both against the
 * original reduced in the same way. Ends with status 1 if a bar is missed.
 */
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { openCommandEngine } from '../../src/cli/engine.ts';
import { openImage } from '../../src/decode.ts';
import { encodeImage } from '../../src/encode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { cropped, type Raster } from '../../src/image/raster.ts';
import { msSsim } from '../../src/metrics/ms-ssim.ts';
import { psnr } from '../../src/metrics/psnr.ts';
import { picturesIn, readRgb } from './read-rgb.ts';
import { BICUBIC, LANCZOS, resize } from './resize.ts';
import { mean, table } from './table.ts';

const FACTORS = [2, 3, 4];
const REDUCTIONS = [2, 4];
/** Largest loss of a reduction against the native decode reduced by bicubic resampling, in dB. */
const REDUCTION_BAR = 1;

interface Score {
  readonly psnr: number;
  readonly msSsim: number;
}
/** Scores by method, one for each picture. */
type Scores = Map<string, Score[]>;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    limit: { type: 'string', default: '1000' },
    quality: { type: 'string', default: '90' },
    engine: { type: 'string', default: 'wasm' },
    output: { type: 'string', short: 'o' },
  },
});
const folder = positionals[0];
if (folder === undefined || positionals.length > 1) {
  process.stderr.write(
    'Usage: npm run bench:scale -- FOLDER [--limit N] [--quality 90] [--engine NAME] [-o FILE.md]\n',
  );
  process.exit(2);
}
const quality = Number(options.quality);
const engine = await openCommandEngine({ engine: options.engine as 'auto' });
try {
  const paths = await picturesIn(folder, Number(options.limit));
  const enlarged = new Map<number, Scores>(FACTORS.map((factor) => [factor, new Map()]));
  const reduced = new Map<number, Scores>(REDUCTIONS.map((factor) => [factor, new Map()]));
  for (const [i, path] of paths.entries()) {
    const original = await readRgb(path);
    for (const [factor, scores] of enlarged) await measureEnlargement(engine, original, factor, scores);
    await measureReductions(engine, original, reduced);
    process.stderr.write(`${basename(path)} (${i + 1} of ${paths.length})\n`);
  }
  const { report, missed } = reportOf(paths.length, enlarged, reduced);
  if (options.output !== undefined) await writeFile(options.output, `${report.join('\n')}\n`);
  process.stdout.write(`${report.join('\n')}\n`);
  process.exitCode = missed === 0 ? 0 : 1;
} finally {
  await engine.close();
}

async function measureEnlargement(
  using: Engine,
  original: Raster,
  factor: number,
  scores: Scores,
): Promise<void> {
  // Whole pixels at the reduced size.
  const wanted = crop(original, factor);
  const { width, height } = wanted;
  const small = resize(wanted, width / factor, height / factor, BICUBIC);
  const image = await openImage(await encodeImage(using, small, { quality }), { engine: using });
  const native = await image.render();
  const continuous = await image.render({ width, height });
  await image.close();
  note(scores, 'liif', wanted, continuous);
  note(scores, 'bicubic', wanted, resize(native, width, height, BICUBIC));
  note(scores, 'Lanczos', wanted, resize(native, width, height, LANCZOS));
}

async function measureReductions(
  using: Engine,
  original: Raster,
  reduced: ReadonlyMap<number, Scores>,
): Promise<void> {
  const whole = crop(original, Math.max(...REDUCTIONS));
  const image = await openImage(await encodeImage(using, whole, { quality, overviews: false }), {
    engine: using,
  });
  const native = await image.render();
  for (const [factor, scores] of reduced) {
    const [width, height] = [whole.width / factor, whole.height / factor];
    const wanted = resize(whole, width, height, BICUBIC);
    note(scores, 'liif', wanted, await image.render({ width, height }));
    note(scores, 'bicubic', wanted, resize(native, width, height, BICUBIC));
  }
  await image.close();
}

function note(scores: Scores, method: string, wanted: Raster, shown: Raster): void {
  const list = scores.get(method) ?? [];
  list.push({ psnr: psnr(wanted, shown), msSsim: msSsim(wanted, shown).value });
  scores.set(method, list);
}

function reportOf(
  pictures: number,
  enlarged: ReadonlyMap<number, Scores>,
  reduced: ReadonlyMap<number, Scores>,
): { report: string[]; missed: number } {
  let missed = 0;
  const verdict = (met: boolean) => {
    if (!met) missed++;
    return met ? 'yes' : 'NO';
  };
  const of = (scores: Scores, method: string): Score => ({
    psnr: mean(scores.get(method)!.map((score) => score.psnr)),
    msSsim: mean(scores.get(method)!.map((score) => score.msSsim)),
  });
  const large = [...enlarged].map(([factor, scores]) => {
    const [liif, bicubic, lanczos] = ['liif', 'bicubic', 'Lanczos'].map((method) => of(scores, method)) as [
      Score,
      Score,
      Score,
    ];
    const above = [bicubic, lanczos].every((other) => liif.psnr > other.psnr && liif.msSsim > other.msSsim);
    return [
      `x ${factor}`,
      ...[liif, bicubic, lanczos].map((score) => score.psnr.toFixed(2)),
      ...[liif, bicubic, lanczos].map((score) => score.msSsim.toFixed(4)),
      verdict(above),
    ];
  });
  const small = [...reduced].map(([factor, scores]) => {
    const liif = of(scores, 'liif');
    const bicubic = of(scores, 'bicubic');
    return [
      `1/${factor}`,
      liif.psnr.toFixed(2),
      bicubic.psnr.toFixed(2),
      (liif.psnr - bicubic.psnr).toFixed(2),
      liif.msSsim.toFixed(4),
      bicubic.msSsim.toFixed(4),
      verdict(liif.psnr >= bicubic.psnr - REDUCTION_BAR),
    ];
  });
  const report = [
    `# Other sizes: ${pictures} pictures, quality ${quality}, model ${engine.model.hash.slice(0, 16)}`,
    '',
    'Pictures reduced, encoded, and decoded at the size of the original; the native decode enlarged. PSNR in dB, then MS-SSIM; liif has to be above both.',
    '',
    ...table(['enlarged', 'liif', 'bicubic', 'Lanczos', 'liif', 'bicubic', 'Lanczos', 'met'], large),
    '',
    `Pictures encoded, and decoded smaller; the native decode reduced by bicubic resampling; both against the original reduced so. liif has to be within ${REDUCTION_BAR} dB.`,
    '',
    ...table(
      ['reduced', 'liif, dB', 'bicubic, dB', 'difference', 'liif, MS-SSIM', 'bicubic, MS-SSIM', 'met'],
      small,
    ),
  ];
  return { report, missed };
}

/** The top left part whose sides are multiples of `factor`. */
function crop(raster: Raster, factor: number): Raster {
  const width = raster.width - (raster.width % factor);
  const height = raster.height - (raster.height % factor);
  return cropped(raster, { left: 0, top: 0, width, height });
}
