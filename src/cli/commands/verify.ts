import { basename } from 'node:path';
import { Command } from 'commander';
import { chunkExtent, chunkList } from '../../container/chunks.ts';
import { modelHash } from '../../container/header.ts';
import type { Engine } from '../../engine/engine.ts';
import { inParallel } from '../../parallel.ts';
import { openReader, type Reader } from '../../reader/reader.ts';
import { expandInputs, LIIF_INPUTS, openSource, titleOf } from '../inputs.ts';
import { interruption } from '../interruption.ts';
import { addPictureEngineOptions, type PictureEngineOptions, PictureEngines } from '../picture-engines.ts';
import { forEachInput } from '../several.ts';
import {
  addOutputOptions,
  bytesText,
  countText,
  type OutputOptions,
  type Shown,
  secondsText,
  Terminal,
  valueText,
} from '../terminal.ts';

interface Options extends OutputOptions, PictureEngineOptions {
  readonly quick?: boolean;
}

const EXAMPLES = `
Examples:
  liif verify photo.liif
  liif verify "archive/**/*.liif" --quick --quiet && echo all well

The exit code is 0 when all files are valid.`;

export default function verifyCommand(): Command {
  const command = new Command('verify')
    .argument('<input...>', LIIF_INPUTS)
    .option('--quick', 'check the checksums only, and decode nothing')
    .addHelpText('after', EXAMPLES)
    .action(run);
  return addOutputOptions(addPictureEngineOptions(command));
}

async function run(args: string[], options: Options): Promise<void> {
  const inputs = await expandInputs(args);
  const terminal = new Terminal(options);
  const engines = options.quick ? undefined : await PictureEngines.of(options);
  try {
    await forEachInput(inputs, terminal, (input) => verifyOne(input, engines, terminal));
  } finally {
    await engines?.close();
  }
}

async function verifyOne(
  input: string,
  engines: PictureEngines | undefined,
  terminal: Terminal,
): Promise<void> {
  const signal = interruption();
  const title = titleOf(input);
  const start = performance.now();
  const source = await openSource(input, signal);
  try {
    const reader = await openReader(source, { signal });
    await terminal.progress(basename(title), async (onProgress) => {
      await reader.verify((done, total) => onProgress({ done, total }), signal);
      if (!engines) return;
      const engine = await engines.engineOf(
        modelHash(reader.header),
        '. The checksums are right; --quick checks no more',
      );
      await decodeChunks(reader, engine, signal, onProgress);
    });
    const elapsed = performance.now() - start;
    terminal.result(
      {
        input,
        valid: true,
        bytes: reader.fileLength,
        chunks: reader.entries.length,
        decoded: engines !== undefined,
        seconds: elapsed / 1000,
      },
      `${valueText(title)}: valid, ${countText(reader.entries.length, 'chunk')}, ${bytesText(reader.fileLength)}, ${secondsText(elapsed)}`,
    );
  } finally {
    await source.close();
  }
}

/**
 * Entropy decodes every chunk. Rejects with the first fault, its offset counted from the start of the file.
 */
async function decodeChunks(
  reader: Reader,
  engine: Engine,
  signal: AbortSignal,
  onProgress: (progress: Shown) => void,
): Promise<void> {
  const { header, entries } = reader;
  let done = 0;
  await inParallel(engine.threads + 1, chunkList(header), async (id) => {
    const bytes = await reader.readChunk(id, signal);
    try {
      await engine.decodeChunk(bytes, chunkExtent(header, id), header.quality, signal);
    } catch (error) {
      throw reader.located(id, error);
    }
    onProgress({ done: ++done, total: entries.length });
  });
}
