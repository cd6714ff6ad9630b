import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Command, Option } from 'commander';
// Imported for its error: where sharp cannot be loaded, the command fails before it reads anything.
import 'sharp';
import { MEASURES, type Measure } from '../../analysis/sample-errors.ts';
import { MemorySink } from '../../container/write.ts';
import { type AncillarySections, DEFAULT_QUALITY, type EncodeOptions, encodeImageTo } from '../../encode.ts';
import type { Engine } from '../../engine/engine.ts';
import { RequestError, SourceError } from '../../errors.ts';
import { writeAtomically } from '../../image/atomic-file.ts';
import { type ImageMetadata, type ReadImage, readImage } from '../../image/read.ts';
import {
  addEngineOptions,
  commandModel,
  type EngineOptions,
  type ModelOption,
  modelOption,
  openCommandEngine,
} from '../engine.ts';
import { expandInputs, isUrl, outputPath, outputTitleOf, pipedBytes, STANDARD, titleOf } from '../inputs.ts';
import { interruption } from '../interruption.ts';
import { isFolder, type Job, planJobs } from '../jobs.ts';
import { forEachInput } from '../several.ts';
import {
  addOutputOptions,
  bytesText,
  type OutputOptions,
  secondsText,
  Terminal,
  valueText,
  writeStandardOutput,
} from '../terminal.ts';
import { byteCount, decimal, wholeNumber } from '../values.ts';

interface Options extends OutputOptions, EngineOptions, ModelOption {
  readonly output?: string;
  readonly quality?: number;
  readonly targetSize?: number;
  readonly targetPsnr?: number;
  readonly overviewFactor: '2' | '4';
  readonly overviews: boolean;
  readonly optimize?: boolean;
  readonly optimizeSteps?: number;
  readonly optimizeFor?: Measure;
  readonly chunkSize?: number;
  readonly keepHiddenColors?: boolean;
  readonly keepMetadata?: boolean;
  readonly icc?: boolean;
  readonly exif?: boolean;
  readonly xmp?: boolean;
  readonly tolerant?: boolean;
  readonly srgb?: boolean;
}

const EXAMPLES = `
Examples:
  liif encode photo.jpg                      writes photo.liif
  liif encode photo.jpg -q 80 -o better.liif
  liif encode "scans/*.tif" -o out/ --icc    every file of a folder
  liif encode photo.png --target-size 150k   at most 150,000 bytes
  liif encode photo.png --target-psnr 38     a small file of at least 38 dB
  liif encode page.png --model my.safetensors
  cat photo.webp | liif encode - > photo.liif

Orientation by EXIF is applied. Colors become sRGB, or Display P3 where the
profile of the image goes beyond sRGB. Gray, alpha and 16 bits are kept; alpha
that is opaque everywhere is left out. EXIF of a TIFF cannot be carried along.

--optimize gives a better picture at the same quality and about the same size.
With a lower quality, or a target, it gives a smaller file. ms-ssim is nearer to
what eyes see than psnr.`;

export default function encodeCommand(): Command {
  const command = new Command('encode')
    .argument(
      '<input...>',
      'images (JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF, SVG) or globs, or - for standard input',
    )
    .addOption(
      new Option('-o, --output <path>', 'file or folder, or - for standard output')
        .argParser(outputPath)
        .default(undefined, 'beside the input'),
    )
    .optionsGroup('Quality options:')
    .addOption(
      new Option('-q, --quality <1-100>', '100 is closest to the original')
        .argParser(wholeNumber(1, 100))
        .default(undefined, String(DEFAULT_QUALITY))
        .conflicts(['targetSize', 'targetPsnr']),
    )
    .addOption(
      new Option('--target-size <bytes>', 'the best quality of at most this size, e.g. 80k')
        .argParser(byteCount)
        .conflicts(['quality', 'targetPsnr']),
    )
    .addOption(
      new Option('--target-psnr <dB>', 'the lowest quality tried of at least this PSNR')
        .argParser(decimal(1, 99))
        .conflicts(['quality', 'targetSize']),
    )
    .option('--optimize', 'improve the picture; takes twenty times as long')
    .addOption(
      new Option('--optimize-steps <n>', '--optimize in n steps; 16 go further')
        .argParser(wholeNumber(1, 100))
        .default(undefined, '8')
        .implies({ optimize: true }),
    )
    .addOption(
      new Option('--optimize-for <measure>', 'measure that --optimize improves')
        .choices(MEASURES)
        .default(undefined, 'ms-ssim')
        .implies({ optimize: true }),
    )
    .optionsGroup('Color and metadata options:')
    .option('--srgb', 'convert all colors to sRGB')
    .option('--keep-hidden-colors', 'keep the colors of fully transparent pixels')
    .option('--icc', 'carry the ICC profile along')
    .option('--exif', 'carry EXIF along')
    .option('--xmp', 'carry XMP along')
    .option('--keep-metadata', 'carry ICC profile, EXIF and XMP along')
    .option('--tolerant', 'read damaged images as far as possible')
    .optionsGroup('Layout options:')
    .addOption(
      new Option(
        '--overview-factor <2|4>',
        'reduction from one overview to the next; 2 is quick at half scale, for some 30 % more bytes',
      )
        .choices(['2', '4'])
        .default('4'),
    )
    .option('--no-overviews', 'no reduced copies of pictures over 1024 pixels')
    .addOption(
      new Option('--chunk-size <8-64>', 'side of a chunk in units of 16 pixels, a multiple of 8')
        .argParser(wholeNumber(8, 64, 8))
        .default(undefined, '32; 16 beyond 8 megapixels'),
    )
    .addHelpText('after', EXAMPLES)
    .action(run);
  return addOutputOptions(addEngineOptions(command, modelOption('to encode with; decoding needs them too')));
}

async function run(args: string[], options: Options): Promise<void> {
  const jobs = await jobsOf(args, options.output);
  const terminal = new Terminal(options, jobs[0]?.output === STANDARD ? 'stderr' : 'stdout');
  const engine = await openCommandEngine(options, await commandModel(options));
  try {
    await forEachInput(jobs, terminal, (job) => encodeOne(engine, job, options, terminal));
  } finally {
    await engine.close();
  }
}

async function encodeOne(engine: Engine, job: Job, options: Options, terminal: Terminal): Promise<void> {
  const signal = interruption();
  const start = performance.now();
  const title = titleOf(job.input);
  const { image, sourceBytes } = await readInput(job.input, options, signal);
  for (const warning of image.warnings) terminal.warning(`${title}: ${warning}`);
  const { raster } = image;
  const summary = await terminal.progress(basename(title), async (onProgress) => {
    const settings: EncodeOptions = { ...encodeOptions(options, image.metadata), signal, onProgress };
    if (job.output === STANDARD) {
      const sink = new MemorySink();
      const result = await encodeImageTo(engine, raster, sink, settings);
      await writeStandardOutput(sink.bytes());
      return result;
    }
    const written = await writeAtomically(job.output, (file) =>
      encodeImageTo(engine, raster, file, settings),
    );
    return written.result;
  });
  const elapsed = performance.now() - start;
  const { width, height } = raster;
  terminal.result(
    {
      input: job.input,
      output: job.output,
      width,
      height,
      channels: summary.channels,
      depth: image.depth,
      colorSpace: raster.colorSpace ?? 'srgb',
      quality: summary.quality,
      sourceBytes,
      bytes: summary.bytes,
      bitsPerPixel: summary.bitsPerPixel,
      levels: summary.levels,
      chunks: summary.chunks,
      seconds: elapsed / 1000,
    },
    `${valueText(title)} -> ${valueText(outputTitleOf(job.output))}: ${width} x ${height}, quality ${summary.quality}, ` +
      `${bytesText(sourceBytes)} -> ${bytesText(summary.bytes)} (${percentText(summary.bytes / sourceBytes)}), ` +
      `${summary.bitsPerPixel.toFixed(3)} bits per pixel, ${secondsText(elapsed)}`,
  );
}

async function readInput(
  input: string,
  options: Options,
  signal: AbortSignal,
): Promise<{ image: ReadImage; sourceBytes: number }> {
  const { tolerant = false, srgb = false } = options;
  const needsMetadata = options.keepMetadata || options.exif || false;
  const settings = { name: titleOf(input), tolerant, srgb, needsMetadata, signal };
  const piped = await pipedBytes(input, signal);
  if (piped) return { image: await readImage(piped, settings), sourceBytes: piped.length };
  const image = await readImage(input, settings);
  return { image, sourceBytes: (await stat(input)).size };
}

function encodeOptions(options: Options, metadata: ImageMetadata): EncodeOptions {
  const sections: { -readonly [K in keyof AncillarySections]: AncillarySections[K] } = {};
  for (const type of ['icc', 'exif', 'xmp'] as const) {
    const bytes = metadata[type];
    if (bytes && (options.keepMetadata || options[type])) sections[type] = bytes;
  }
  return {
    ...(options.quality !== undefined && { quality: options.quality }),
    ...(options.targetSize !== undefined && { targetSize: options.targetSize }),
    ...(options.targetPsnr !== undefined && { targetPsnr: options.targetPsnr }),
    ...(options.chunkSize !== undefined && { chunkSize: options.chunkSize }),
    keepHiddenColors: options.keepHiddenColors ?? false,
    optimize: options.optimizeSteps ?? options.optimize ?? false,
    ...(options.optimizeFor !== undefined && { optimizeFor: options.optimizeFor }),
    overviews: options.overviews,
    overviewFactor: Number(options.overviewFactor) as 2 | 4,
    sections,
  };
}

/**
 * Throws RequestError or SourceError for inputs that are no image files, and RequestError for an output that
 * is named like an image.
 */
async function jobsOf(args: readonly string[], output: string | undefined): Promise<Job[]> {
  const inputs = await expandInputs(args);
  const url = inputs.find(isUrl);
  if (url)
    throw new RequestError(`${url}: encode reads files; download it first, or pipe it into "liif encode -"`);
  for (const input of inputs) expectNoOutput(input);
  const [first] = inputs;
  if (inputs.length === 1 && isFolder(first!) && existsSync(first!))
    throw new SourceError(
      `${first}: is a directory; for the pictures in it: liif encode "${join(first!, '*')}"`,
    );
  const jobs = await planJobs(inputs, output, '.liif');
  const misnamed = jobs.find((job) => IMAGE_ENDING.test(job.output));
  if (misnamed)
    throw new RequestError(
      `${misnamed.output}: is named like an image, but encode writes .liif files; name one, or use liif decode`,
    );
  return jobs;
}

const IMAGE_ENDING = /\.(jpe?g|png|webp|avif|hei[cf]|tiff?|gif|svg)$/i;

/**
 * Throws RequestError for a .liif file among the inputs: an output that was named without -o, or the file of
 * an earlier call.
 */
function expectNoOutput(input: string): void {
  if (!/\.liif$/i.test(input)) return;
  throw new RequestError(
    existsSync(input)
      ? `${input}: is a .liif file already; if it is the output, name it with -o; to make an image of it, use liif decode`
      : `${input}: no such file; if it is the output, name it with -o ${input}`,
  );
}

function percentText(share: number): string {
  return `${(100 * share).toPrecision(3)} %`;
}
