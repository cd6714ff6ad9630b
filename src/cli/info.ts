import { Command } from 'commander';
import { chunkGrid, levelSize, planeCount } from '../container/chunks.ts';
import { modelHash } from '../container/header.ts';
import { openReader, type Reader } from '../reader/reader.ts';
import { expandInputs, openSource, titleOf } from './inputs.ts';
import { interruption } from './interruption.ts';
import { forEachInput } from './several.ts';
import { addOutputOptions, bytesText, type OutputOptions, Terminal, valueText } from './terminal.ts';

const EXAMPLES = `
Examples:
  liif info photo.liif
  liif info *.liif --json | jq .quality
  liif info https://example.org/map.liif      reads the header and the index only`;

export function infoCommand(): Command {
  const command = new Command('info')
    .argument('<input...>', '.liif files, globs or http(s) URLs, or - for standard input')
    .addHelpText('after', EXAMPLES)
    .action(run);
  return addOutputOptions(command);
}

async function run(args: string[], options: OutputOptions): Promise<void> {
  const terminal = new Terminal(options);
  await forEachInput(await expandInputs(args), titleOf, terminal, async (input) => {
    const signal = interruption();
    const source = await openSource(input, signal);
    try {
      const record = describe(await openReader(source, { signal }), input);
      terminal.result(record, textOf(record, titleOf(input)));
    } finally {
      await source.close();
    }
  });
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
    for (const entry of entries.slice(next, next + chunks)) bytes += entry.length;
    next += chunks;
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
