import { basename } from 'node:path';
import { Command, Option } from 'commander';
import { imageBands, type LiifImage, metadataOf } from '../../decode.ts';
import { RequestError } from '../../errors.ts';
import type { Region } from '../../head/query.ts';
import type { Rational } from '../../head/rational.ts';
import { depthsOf, endingOf, formatOfPath, IMAGE_FORMATS, type ImageFormat } from '../../image/formats.ts';
import { writeImage, writeImageTo } from '../../image/write.ts';
import type { RenderRequest } from '../../render-request.ts';
import {
  expandInputs,
  LIIF_INPUTS,
  openSource,
  outputPath,
  outputTitleOf,
  STANDARD,
  titleOf,
} from '../inputs.ts';
import { interruption } from '../interruption.ts';
import { type Job, planJobs } from '../jobs.ts';
import { addPictureEngineOptions, type PictureEngineOptions, PictureEngines } from '../picture-engines.ts';
import { forEachInput } from '../several.ts';
import {
  addOutputOptions,
  bytesText,
  type OutputOptions,
  secondsText,
  Terminal,
  valueText,
} from '../terminal.ts';
import { positive, region, wholeNumber } from '../values.ts';

interface Options extends OutputOptions, PictureEngineOptions {
  readonly output?: string;
  readonly format?: ImageFormat;
  readonly scale?: Rational;
  readonly width?: number;
  readonly height?: number;
  readonly region?: Region;
  readonly depth?: '8' | '16';
  readonly quality?: number;
  readonly srgb?: boolean;
  readonly keepMetadata?: boolean;
}

const EXAMPLES = `
Examples:
  liif decode photo.liif -o photo.png
  liif decode photo.liif -o large.jpg --scale 4 --quality 95
  liif decode photo.liif -o thumbnail.webp --width 320
  liif decode map.liif -o detail.png --region 1200,800,64,48 --width 1920
  liif decode scan.liif -o scan.tif --depth 16
  liif decode "photos/*.liif" -o out/ --format jpeg    every file of a folder
  liif decode page.liif -o page.png --model my.safetensors
  liif decode https://example.org/photo.liif -o - > photo.png

Any region can be decoded at any size: the network computes what lies between
the pixels.`;

export default function decodeCommand(): Command {
  const size = wholeNumber(1, 2 ** 24);
  const command = new Command('decode')
    .argument('<input...>', LIIF_INPUTS)
    .addOption(
      new Option('-o, --output <path>', 'file or folder, or - for standard output; required').argParser(
        outputPath,
      ),
    )
    .optionsGroup('Picture options:')
    .addOption(
      new Option('--scale <number>', 'output pixels per pixel of the picture, e.g. 4, 0.5 or 1/3')
        .argParser(positive)
        .default(undefined, '1')
        .conflicts(['width', 'height']),
    )
    .addOption(
      new Option('--width <pixels>', 'width of the output; alone, the height follows').argParser(size),
    )
    .addOption(
      new Option('--height <pixels>', 'height of the output; alone, the width follows').argParser(size),
    )
    .addOption(
      new Option('--region <x,y,w,h>', 'part of the picture in its pixels, fractions allowed')
        .argParser(region)
        .default(undefined, 'all'),
    )
    .optionsGroup('Format options:')
    .addOption(
      new Option('--format <name>', 'format of the output')
        .choices(IMAGE_FORMATS)
        .default(undefined, "by the file's ending, else png"),
    )
    .addOption(
      new Option('--depth <8|16>', 'bits per sample')
        .choices(['8', '16'])
        .default(undefined, "the source's if the format has them, else 8"),
    )
    .addOption(
      new Option('--quality <1-100>', 'quality of a JPEG, WebP or AVIF')
        .argParser(wholeNumber(1, 100))
        .default(undefined, '90; AVIF 70'),
    )
    .option('--srgb', 'convert Display P3 to sRGB')
    .option('--keep-metadata', 'write EXIF and XMP of the file into the image')
    .addHelpText('after', EXAMPLES)
    .action(run);
  return addOutputOptions(addPictureEngineOptions(command));
}

async function run(args: string[], options: Options): Promise<void> {
  const jobs = await jobsOf(args, options);
  const terminal = new Terminal(options, jobs[0]?.output === STANDARD ? 'stderr' : 'stdout');
  const engines = await PictureEngines.of(options);
  try {
    await forEachInput(jobs, terminal, (job) => decodeOne(engines, job, options, terminal));
  } finally {
    await engines.close();
  }
}

interface DecodeJob extends Job {
  readonly format: ImageFormat;
}

/** Throws RequestError where an output is missing, or its format. */
async function jobsOf(args: readonly string[], options: Options): Promise<DecodeJob[]> {
  const inputs = await expandInputs(args);
  if (options.output === undefined) throw outputIsMissing(inputs);
  const jobs = await planJobs(inputs, options.output, endingOf(options.format ?? 'png'));
  return jobs.map((job) => {
    const format = options.format ?? (job.output === STANDARD ? 'png' : formatOfPath(job.output));
    if (format === undefined)
      throw new RequestError(
        `${job.output}: the ending names no format; use .png, .jpg, .webp, .avif, .tif or .raw, or --format`,
      );
    return { ...job, format };
  });
}

function outputIsMissing(inputs: readonly string[]): RequestError {
  const last = inputs.at(-1)!;
  return new RequestError(
    inputs.length > 1 && formatOfPath(last)
      ? `${last}: if it is the output, name the output with -o: liif decode photo.liif -o photo.png`
      : 'The output is missing: give -o FILE, -o FOLDER/, or -o - for standard output',
  );
}

async function decodeOne(
  engines: PictureEngines,
  { input, output, format }: DecodeJob,
  options: Options,
  terminal: Terminal,
): Promise<void> {
  const signal = interruption();
  const start = performance.now();
  const source = await openSource(input, signal);
  try {
    const image = await engines.open(source);
    const request = requestOf(options, image, format);
    const query = image.resolve(request);
    const written = await terminal.progress(basename(titleOf(input)), async (onProgress) => {
      const picture = imageBands(image, request, { signal, onProgress });
      const settings = {
        format,
        signal,
        onWarning: (message: string) => terminal.warning(message),
        ...(options.quality !== undefined && { quality: options.quality }),
        srgb: options.srgb ?? false,
        ...(options.keepMetadata && { metadata: await metadataOf(image, signal) }),
      };
      return output === STANDARD
        ? writeImageTo(picture, process.stdout, format, settings)
        : writeImage(picture, output, settings);
    });
    const elapsed = performance.now() - start;
    const { reader } = image;
    terminal.result(
      {
        input,
        output,
        format,
        width: query.width,
        height: query.height,
        channels: writtenChannels(image, format),
        depth: query.depth,
        colorSpace: options.srgb ? 'srgb' : (image.header.colorSpace ?? 'srgb'),
        bytes: written.bytes,
        bytesRead: reader.bytesRead,
        seconds: elapsed / 1000,
      },
      `${valueText(titleOf(input))} -> ${valueText(outputTitleOf(output))}: ${query.width} x ${query.height} pixels of ${query.depth} bits, ${bytesText(written.bytes)}, ` +
        `read ${bytesText(reader.bytesRead)} of ${bytesText(reader.fileLength)}, ${secondsText(elapsed)}`,
    );
  } finally {
    await source.close();
  }
}

/** Channels of the image in its file: JPEG has no alpha, WebP and AVIF have no gray. */
function writtenChannels({ header: { channels, alpha } }: LiifImage, format: ImageFormat): number {
  const colors = format === 'webp' || format === 'avif' ? 3 : channels;
  return colors + (alpha && format !== 'jpeg' ? 1 : 0);
}

function requestOf(options: Options, image: LiifImage, format: ImageFormat): RenderRequest {
  const { scale, width, height, region: part } = options;
  const wanted = image.header.depth;
  const depth = options.depth
    ? (Number(options.depth) as 8 | 16)
    : depthsOf(format).includes(wanted)
      ? wanted
      : 8;
  return {
    depth,
    ...(part && { region: part }),
    ...(scale && { scale }),
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
  };
}
