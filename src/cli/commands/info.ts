import { Command, Option } from 'commander';
import { chunkGrid, levelSize, planeCount } from '../../container/chunks.ts';
import { modelHash } from '../../container/header.ts';
import { RequestError } from '../../errors.ts';
import { openReader, type Reader } from '../../reader/reader.ts';
import { expandInputs, LIIF_INPUTS, openSource, titleOf } from '../inputs.ts';
import { interruption } from '../interruption.ts';
import { forEachInput } from '../several.ts';
import {
  addOutputOptions,
  bytesText,
  type OutputOptions,
  Terminal,
  valueText,
  writeStandardOutput,
} from '../terminal.ts';

const EXAMPLES = `
Examples:
  liif info photo.liif
  liif info *.liif --json | jq .quality
  liif info https://example.org/map.liif     reads header and index only
  liif info photo.liif --section exif > photo.exif`;

interface Options extends OutputOptions {
  readonly section?: string;
}

export default function infoCommand(): Command {
  const command = new Command('info')
    .argument('<input...>', LIIF_INPUTS)
    .addOption(
      new Option(
        '--section <type>',
        'write a section (icc, exif, xmp, text, ...) to standard output instead',
      ).conflicts('json'),
    )
    .addHelpText('after', EXAMPLES)
    .action(run);
  return addOutputOptions(command);
}

async function run(args: string[], options: Options): Promise<void> {
  const terminal = new Terminal(options);
  const inputs = await expandInputs(args);
  const { section } = options;
  if (section !== undefined && inputs.length > 1)
    throw new RequestError('A section is written of one file; name one');
  if (section !== undefined && process.stdout.isTTY)
    throw new RequestError('Not writing a section to the terminal; redirect it into a file, or pipe it on');
  await forEachInput(inputs, terminal, async (input) => {
    const signal = interruption();
    const source = await openSource(input, signal);
    try {
      const reader = await openReader(source, { signal });
      if (section !== undefined) return await writeStandardOutput(await sectionOf(reader, section, input));
      const record = describe(reader, input);
      terminal.result(record, textOf(record, titleOf(input)));
    } finally {
      await source.close();
    }
  });
}

async function sectionOf(reader: Reader, type: string, input: string): Promise<Uint8Array> {
  const bytes = await reader.readSection(type, interruption());
  if (bytes) return bytes;
  const types = reader.header.sections.map((section) => section.type).join(', ');
  throw new RequestError(`${titleOf(input)}: has no section ${type}; its sections: ${types || 'none'}`);
}

type Description = ReturnType<typeof describe>;

function describe(reader: Reader, input: string) {
  const { header, entries, fileLength } = reader;
  let next = 0;
  const levels = [];
  for (let level = header.levels - 1; level >= 0; level--) {
    const { rows, columns } = chunkGrid(header, level);
    const chunks = rows * columns * planeCount(header);
    let bytes = 0;
    for (const last = next + chunks; next < last; next++) bytes += entries.at(next).length;
    levels.unshift({ level, ...levelSize(header, level), chunks, bytes });
  }
  return {
    input,
    width: header.width,
    height: header.height,
    channels: header.channels,
    alpha: header.alpha,
    depth: header.depth,
    colorSpace: header.colorSpace ?? 'srgb',
    quality: header.quality,
    bytes: fileLength,
    bitsPerPixel: (8 * fileLength) / (header.width * header.height),
    chunkSize: header.chunkSize,
    overviewFactor: header.overviewFactor,
    levels,
    sections: header.sections.map(({ type, length }) => ({ type, bytes: length })),
    model: modelHash(header),
    encoder: header.encoder,
  };
}

function textOf(info: Description, title: string): string {
  const color = info.channels === 1 ? 'gray' : info.colorSpace === 'srgb' ? 'RGB' : 'RGB of Display P3';
  const chunks = info.levels.reduce((sum, level) => sum + level.chunks, 0);
  const lines: [string, string][] = [
    [
      'picture',
      `${info.width} x ${info.height} pixels, ${color}${info.alpha ? ' with alpha' : ''}, from ${info.depth} bits a sample`,
    ],
    ['quality', `${info.quality} of 100`],
    ['size', `${bytesText(info.bytes)}, ${info.bitsPerPixel.toFixed(3)} bits per pixel`],
    ['chunks', `${chunks} of at most ${16 * info.chunkSize} x ${16 * info.chunkSize} pixels`],
    ...info.levels.map(({ level, width, height, bytes }): [string, string] => [
      `level ${level}`,
      `${width} x ${height} pixels, ${bytesText(bytes)}`,
    ]),
    ...info.sections.map(({ type, bytes }): [string, string] => [
      'section',
      `${valueText(type)}, ${bytesText(bytes)}`,
    ]),
    ['model', info.model],
    ['encoder', valueText(info.encoder)],
  ];
  return [valueText(title), ...lines.map(([name, value]) => `  ${name.padEnd(8)} ${value}`)].join('\n');
}
