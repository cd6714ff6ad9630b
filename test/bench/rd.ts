/**
 * Rate and distortion of real files on a folder of pictures: .liif, plain and optimized for either measure,
 * JPEG, WebP and AVIF.
 *
 *     npm run bench:rd -- FOLDER [--float FILE.json] [--qualities 1,10,..] [--limit N] [--avif-effort N] [-o DIR] [--fresh]
 *
 * Every measurement is appended to DIR/rd.tsv; an interrupted run goes on where it stopped. DIR/rd.md,
 * psnr.svg and ms-ssim.svg are made from it. --float: estimates of the float network to compare the files
 * with, {"pictures": {"name": {"quality": {"bits", "psnr"}}}}.
 */
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp, { type Sharp } from 'sharp';
import { openCommandEngine } from '../../src/cli/engine.ts';
import { decodeImage } from '../../src/decode.ts';
import { type EncodeOptions, encodeImage } from '../../src/encode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { Raster } from '../../src/image/raster.ts';
import { readImage } from '../../src/image/read.ts';
import { msSsim } from '../../src/metrics/ms-ssim.ts';
import { psnr } from '../../src/metrics/psnr.ts';
import { type FloatEstimates, floatReport } from './codec/float-bars.ts';
import {
  type Measurement,
  measurementOf,
  OPTIMIZED,
  OPTIMIZED_FOR_PSNR,
  PLAIN,
  ratePlots,
  rateReport,
  rowOf,
  TSV_HEADER,
} from './rd-report.ts';
import { picturesIn, readRgb } from './read-rgb.ts';

const PEER_QUALITIES = [5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95];

/** One way to make a file of a picture. */
interface Codec {
  readonly name: string;
  /** Rows of another version are measured again. */
  readonly version: string;
  readonly qualities: readonly number[];
  encode(raster: Raster, quality: number): Promise<Uint8Array>;
  decode(bytes: Uint8Array): Promise<Raster>;
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    float: { type: 'string' },
    qualities: { type: 'string', default: '1,10,20,30,40,50,60,70,80,90,100' },
    limit: { type: 'string', default: '1000' },
    output: { type: 'string', short: 'o', default: 'rd-results' },
    engine: { type: 'string', default: 'wasm' },
    threads: { type: 'string' },
    // sharp's default. Effort 2 takes about an eighth of the time.
    'avif-effort': { type: 'string', default: '4' },
    fresh: { type: 'boolean', default: false },
  },
});
const folder = positionals[0];
if (folder === undefined || positionals.length > 1) {
  process.stderr.write(
    'Usage: npm run bench:rd -- FOLDER [--float FILE.json] [--qualities 1,10,...] [--limit N] [--avif-effort N] [-o DIR] [--fresh]\n',
  );
  process.exit(2);
}
const avifEffort = Number(options['avif-effort']);
if (!(Number.isInteger(avifEffort) && avifEffort >= 0 && avifEffort <= 9))
  throw new Error(`Expected an effort of 0 to 9 but received ${options['avif-effort']}`);
const qualities = options.qualities.split(',').map(Number);
if (!qualities.every((q) => Number.isInteger(q) && q >= 1 && q <= 100))
  throw new Error(`Expected qualities of 1 to 100 but received ${options.qualities}`);

const engine = await openCommandEngine({
  engine: options.engine as 'auto',
  ...(options.threads !== undefined && { threads: Number(options.threads) }),
});
try {
  await run(folder, engine);
} finally {
  await engine.close();
}

async function run(from: string, using: Engine): Promise<void> {
  const paths = await picturesIn(from, Number(options.limit));
  const out = options.output;
  await mkdir(out, { recursive: true });
  const table = join(out, 'rd.tsv');
  if (options.fresh) await rm(table, { force: true });
  const codecs = codecsOf(using);
  const measured = await earlier(table);

  const results: Measurement[] = [];
  for (const [index, path] of paths.entries()) {
    const picture = basename(path, extname(path));
    const start = performance.now();
    let original: Raster | undefined;
    let fresh = 0;
    for (const codec of codecs) {
      for (const quality of codec.qualities) {
        const key = [picture, codec.name, codec.version, quality].join('\t');
        let measurement = measured.get(key);
        if (!measurement) {
          original ??= await readRgb(path);
          measurement = await measure(codec, quality, picture, original);
          await appendFile(table, `${rowOf(measurement)}\n`);
          fresh++;
        }
        results.push(measurement);
      }
    }
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    process.stderr.write(
      `${picture} (${index + 1} of ${paths.length}): ${fresh ? `${fresh} files in ${seconds} s` : 'measured before'}\n`,
    );
  }

  const report = [
    `# Rate and distortion: ${paths.length} pictures`,
    '',
    `liif model ${using.model.hash.slice(0, 16)}, engine ${using.name}; sharp ${sharp.versions.sharp}, mozjpeg ${sharp.versions.mozjpeg}, libwebp ${sharp.versions.webp}, aom ${sharp.versions.aom} (effort ${avifEffort}). JPEG and mozjpeg: 4:2:0 under quality 90, 4:4:4 from there; WebP 4:2:0; AVIF 4:4:4. Sizes are those of whole files; means over pictures.`,
    '',
    rateReport(results),
  ];
  if (options.float !== undefined) {
    const estimates = JSON.parse(await readFile(options.float, 'utf8')) as FloatEstimates;
    report.push('', floatReport(results, estimates));
  }
  const plots = ratePlots(results);
  await writeFile(join(out, 'psnr.svg'), plots.psnr);
  await writeFile(join(out, 'ms-ssim.svg'), plots.msSsim);
  await writeFile(join(out, 'rd.md'), `${report.join('\n')}\n`);
  process.stdout.write(`${report.join('\n')}\n`);
}

function codecsOf(using: Engine): Codec[] {
  const liif = (name: string, how: EncodeOptions): Codec => ({
    name,
    version: using.model.hash.slice(0, 16),
    qualities,
    encode: (raster, quality) => encodeImage(using, raster, { quality, ...how }),
    decode: (bytes) => decodeImage(bytes, { engine: using }),
  });
  const peer = (name: string, version: string, encode: (image: Sharp, quality: number) => Sharp): Codec => ({
    name,
    version,
    qualities: PEER_QUALITIES,
    encode: ({ width, height, data }, quality) =>
      encode(sharp(data, { raw: { width, height, channels: 3 } }), quality).toBuffer(),
    decode: async (bytes) => (await readImage(bytes)).raster,
  });
  const subsampling = (quality: number) => (quality >= 90 ? '4:4:4' : '4:2:0');
  const { mozjpeg, webp, aom } = sharp.versions as Record<string, string>;
  return [
    liif(PLAIN, {}),
    liif(OPTIMIZED, { optimize: true }),
    liif(OPTIMIZED_FOR_PSNR, { optimize: true, optimizeFor: 'psnr' }),
    peer('JPEG', `${mozjpeg}`, (image, quality) =>
      image.jpeg({ quality, chromaSubsampling: subsampling(quality) }),
    ),
    peer('mozjpeg', `${mozjpeg}`, (image, quality) =>
      image.jpeg({ quality, mozjpeg: true, chromaSubsampling: subsampling(quality) }),
    ),
    peer('WebP', `${webp}`, (image, quality) => image.webp({ quality })),
    peer('AVIF', `${aom} effort ${avifEffort}`, (image, quality) =>
      image.avif({ quality, effort: avifEffort, chromaSubsampling: '4:4:4' }),
    ),
  ];
}

async function measure(
  codec: Codec,
  quality: number,
  picture: string,
  original: Raster,
): Promise<Measurement> {
  const start = performance.now();
  const bytes = await codec.encode(original, quality);
  const encoded = performance.now();
  const decoded = await codec.decode(bytes);
  const end = performance.now();
  const { value, scales } = msSsim(original, decoded);
  return {
    picture,
    codec: codec.name,
    version: codec.version,
    quality,
    width: original.width,
    height: original.height,
    bytes: bytes.length,
    psnr: psnr(original, decoded),
    msSsim: value,
    scales,
    encodeMs: Math.round(encoded - start),
    decodeMs: Math.round(end - encoded),
  };
}

/** Measurements of earlier runs, by picture, codec, version and quality. */
async function earlier(table: string): Promise<Map<string, Measurement>> {
  let text: string;
  try {
    text = await readFile(table, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await writeFile(table, `${TSV_HEADER}\n`);
    return new Map();
  }
  const lines = text.split('\n');
  if (lines[0] !== TSV_HEADER) throw new Error(`${table}: has other columns; remove it, or give --fresh`);
  // An interrupted run may have left half a line.
  if (!text.endsWith('\n')) {
    lines.pop();
    await writeFile(table, `${lines.join('\n')}\n`);
  }
  const rows = lines
    .slice(1)
    .filter((line) => line !== '')
    .map(measurementOf);
  return new Map(
    rows.map((row) => [[row.picture, row.codec, row.version, row.quality].join('\t'), row] as const),
  );
}
