import { Command } from 'commander';
import { MAGIC } from '../../container/layout.ts';
import { RequestError } from '../../errors.ts';
import { toSrgb } from '../../image/color/to-srgb.ts';
import { depthOf, type Raster } from '../../image/raster.ts';
import { readImage } from '../../image/read.ts';
import { haveColorsAlike } from '../../metrics/comparable.ts';
import { type MsSsim, msSsim, SMALLEST_SIDE } from '../../metrics/ms-ssim.ts';
import { psnr } from '../../metrics/psnr.ts';
import { OpenedSource } from '../../reader/opened-source.ts';
import { isUrl, openSource, pipedBytes, STANDARD, titleOf } from '../inputs.ts';
import { interruption } from '../interruption.ts';
import { addPictureEngineOptions, type PictureEngineOptions, PictureEngines } from '../picture-engines.ts';
import { naming } from '../several.ts';
import { addOutputOptions, bytesText, type OutputOptions, Terminal, valueText } from '../terminal.ts';

type Options = OutputOptions & PictureEngineOptions;

interface Picture {
  readonly raster: Raster;
  /** Size of its file. */
  readonly bytes: number;
}

const EXAMPLES = `
Examples:
  liif compare photo.png photo.liif
  liif compare photo.png photo.jpg --json
  liif compare released.liif mine.liif --model mine.safetensors

PSNR is in dB, over all samples; higher is closer. MS-SSIM is 0 to 1, the mean
of R, G and B, over 5 scales (fewer for sides under 161 pixels). Both judge what
shows: colors count by their opacity, and alpha counts where anything is not
opaque. A picture without alpha is opaque.`;

export default function compareCommand(): Command {
  const command = new Command('compare')
    .argument('<a>', 'image or .liif file, or - for standard input')
    .argument('<b>', 'image or .liif file')
    .addHelpText('after', EXAMPLES)
    .action(run);
  return addOutputOptions(addPictureEngineOptions(command));
}

async function run(a: string, b: string, options: Options): Promise<void> {
  const terminal = new Terminal(options);
  if (a === STANDARD && b === STANDARD) throw new RequestError('Only one of the two can be standard input');
  const engines = await PictureEngines.of(options);
  try {
    const first = await naming(titleOf(a), () => openPicture(a, engines, terminal));
    const second = await naming(titleOf(b), () => openPicture(b, engines, terminal));
    if (haveColorsAlike(first.raster, second.raster)) report(terminal, [a, b], first, second);
    else {
      terminal.warning('one of the two is in Display P3, the other is not: they are compared in sRGB');
      report(terminal, [a, b], inSrgb(first), inSrgb(second));
    }
  } finally {
    await engines.close();
  }
}

function inSrgb({ raster, bytes }: Picture): Picture {
  return { raster: toSrgb(raster), bytes };
}

function report(terminal: Terminal, [a, b]: [string, string], first: Picture, second: Picture): void {
  const { width, height } = first.raster;
  const decibels = psnr(first.raster, second.raster);
  const identical = decibels === Number.POSITIVE_INFINITY;
  const structure: MsSsim | undefined =
    Math.min(width, height) >= SMALLEST_SIDE ? msSsim(first.raster, second.raster) : undefined;
  const sides = [
    { path: a, ...first },
    { path: b, ...second },
  ].map(({ path, bytes, raster }) => ({
    path,
    bytes,
    bitsPerPixel: (8 * bytes) / (width * height),
    channels: raster.channels,
    depth: depthOf(raster),
  }));
  const similarity = structure
    ? `MS-SSIM ${structure.value.toFixed(5)}${structure.scales < 5 ? ` (${structure.scales} of 5 scales)` : ''}`
    : `MS-SSIM needs ${SMALLEST_SIDE} pixels on a side`;
  terminal.result(
    {
      width,
      height,
      colorSpace: first.raster.colorSpace ?? second.raster.colorSpace ?? 'srgb',
      // JSON has no infinity.
      psnr: identical ? null : decibels,
      identical,
      msSsim: structure?.value ?? null,
      msSsimScales: structure?.scales ?? 0,
      a: sides[0],
      b: sides[1],
    },
    [
      `${width} x ${height} pixels: ${identical ? 'identical' : `PSNR ${decibels.toFixed(2)} dB`}, ${similarity}`,
      ...sides.map(
        (side) =>
          `  ${valueText(titleOf(side.path))}: ${bytesText(side.bytes)}, ${side.bitsPerPixel.toFixed(3)} bits per pixel`,
      ),
    ].join('\n'),
  );
}

async function openPicture(input: string, engines: PictureEngines, terminal: Terminal): Promise<Picture> {
  const signal = interruption();
  const title = titleOf(input);
  const piped = await pipedBytes(input, signal);
  const source = await openSource(input, signal, piped);
  try {
    const opened = await OpenedSource.open(source, signal);
    if (MAGIC.every((byte, i) => opened.first[i] === byte)) {
      const image = await engines.open(opened);
      const raster = await terminal.progress(title, (onProgress) =>
        image.render({ depth: image.header.depth }, { signal, onProgress }),
      );
      return { raster, bytes: image.reader.fileLength };
    }
    if (isUrl(input))
      throw new RequestError(`${input}: is no .liif file; download the image and name the file`);
    const { raster, warnings } = await readImage(piped ?? input, { name: title, signal });
    for (const warning of warnings) terminal.warning(`${title}: ${warning}`);
    return { raster, bytes: source.size! };
  } finally {
    await source.close();
  }
}
