import { Command, Option } from 'commander';
import { BENCH_STEPS, benchEngine, type EngineFigures } from '../../bench/engine-bench.ts';
import { describeMachine } from '../../bench/machine.ts';
import { benchTable, type EngineResult } from '../../bench/report.ts';
import { benchServer } from '../../bench/server-bench.ts';
import type { Engine, EngineName } from '../../engine/engine.ts';
import type { EngineEntry } from '../../engine/engine-entry.ts';
import { ENGINES } from '../../engine/open-engine.ts';
import { isLiifError } from '../../errors.ts';
import type { Model } from '../../network/model.ts';
import { addThreadsAndModel, commandModel, type ModelOption, modelOption } from '../engine.ts';
import { interruption } from '../interruption.ts';
import { addOutputOptions, type OutputOptions, Terminal } from '../terminal.ts';
import { positive, wholeNumber } from '../values.ts';

interface Options extends OutputOptions, ModelOption {
  readonly engine?: EngineName;
  readonly threads?: number;
  readonly seconds: number;
  readonly server?: boolean;
  readonly connections: number;
}

const NOTES = `
Examples:
  liif bench
  liif bench --json --server > figures.json
  liif bench --engine webgpu --seconds 5

Figures are of a synthetic picture, warm, from the fastest of several calls. Two
kernels on the same device show what it can do at best: a dense matrix product,
and a copy of large buffers. Arithmetic counts the products that a model asks
for; wasm needs half of them in most convolutions. With --server, liif serve
runs as a process of its own, and clients share the processors with it.`;

export default function benchCommand(): Command {
  const command = new Command('bench')
    .addOption(new Option('--seconds <number>', 'time for each figure').argParser(seconds).default(1))
    .option('--server', 'measure JPEG tiles per second of liif serve, too')
    .addOption(
      new Option('--connections <n>', 'clients of the server').argParser(wholeNumber(1, 1000)).default(32),
    )
    .optionsGroup('Engine options:')
    .addOption(
      new Option('--engine <name>', 'measure this engine only')
        .choices(ENGINES.map(({ name }) => name))
        .default(undefined, 'all but reference'),
    )
    .addHelpText('after', NOTES)
    .action(run);
  return addOutputOptions(addThreadsAndModel(command, modelOption('to measure with')));
}

async function run(options: Options): Promise<void> {
  const terminal = new Terminal(options);
  const signal = interruption();
  const machine = await describeMachine();
  const model = await commandModel(options);
  const entries = ENGINES.filter(({ name }) =>
    options.engine === undefined ? name !== 'reference' : name === options.engine,
  );
  const results: EngineResult[] = [];
  const total = entries.length * (BENCH_STEPS.length + 1);
  let failure: unknown;
  for (const [i, entry] of entries.entries()) {
    await terminal.progress(entry.name, async (onProgress) => {
      let done = i * (BENCH_STEPS.length + 1);
      const onStep = () => onProgress({ done: done++, total });
      try {
        results.push(await measure(entry, model, options, signal, onStep));
      } catch (error) {
        signal.throwIfAborted();
        if (!isLiifError(error)) throw error;
        failure ??= error;
        results.push({ engine: entry.name, problem: error.message });
      }
    });
  }
  // If nothing was measured, the command fails.
  if (failure && results.every((result) => 'problem' in result)) throw failure;
  const title = `liif ${machine.liif}, Node ${machine.node}, ${machine.processors} x ${machine.processor}`;
  const text = [[title, ...machine.cards].join('; '), '', ...benchTable(results)].join('\n');
  terminal.result({ machine, engines: results }, text);
}

async function measure(
  entry: EngineEntry,
  model: Model,
  options: Options,
  signal: AbortSignal,
  onStep: () => void,
): Promise<EngineResult> {
  const { threads, seconds } = options;
  const engine = await entry.open(model, { signal, ...(threads !== undefined && { threads }) });
  try {
    const figures = await benchEngine(engine, { seconds, signal, onStep });
    if (!options.server) return figures;
    onStep();
    if (!engine.exact) return { ...figures, serverProblem: 'the server takes exact engines only' };
    return { ...figures, server: await serve(engine, figures.picture, options, signal) };
  } finally {
    await engine.close();
  }
}

function serve(engine: Engine, picture: EngineFigures['picture'], options: Options, signal: AbortSignal) {
  const { threads, seconds, connections, model } = options;
  // The largest side whose picture is encoded within a few seconds.
  const affordable = Math.sqrt((picture.width * picture.height * 4 * seconds) / picture.encodeSeconds);
  const side = Math.max(256, Math.min(2048, 2 ** Math.floor(Math.log2(affordable))));
  return benchServer(engine, { engine: engine.name, threads, model, side, connections, seconds, signal });
}

function seconds(text: string): number {
  const { numerator, denominator } = positive(text);
  return Math.min(3600, Number(numerator) / Number(denominator));
}
