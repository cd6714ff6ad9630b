import { Command } from 'commander';
import { scoreOfSpeed } from '../../engine/auto.ts';
import { choiceFile } from '../../engine/choice-file.ts';
import type { Engine, EngineName } from '../../engine/engine.ts';
import type { EngineEntry } from '../../engine/engine-entry.ts';
import { ENGINES } from '../../engine/open-engine.ts';
import { type EngineSpeed, measureSpeed } from '../../engine/speed.ts';
import { isLiifError } from '../../errors.ts';
import type { Model } from '../../network/model.ts';
import { addThreadsAndModel, commandModel, type ModelOption, modelOption } from '../engine.ts';
import { interruption } from '../interruption.ts';
import { addOutputOptions, type OutputOptions, Terminal } from '../terminal.ts';

interface Options extends OutputOptions, ModelOption {
  readonly threads?: number;
}

/** One engine on this machine. */
interface Found {
  readonly engine: EngineName;
  readonly available: boolean;
  readonly exact: boolean;
  readonly device?: string;
  readonly threads?: number;
  readonly speed?: EngineSpeed;
  /** Whether `--engine auto` takes it. */
  readonly chosen: boolean;
  /** Why it does not run here and what to install, or why it could not be measured. */
  readonly problem?: string;
}

const SECONDS = 0.5;
/** An engine that takes longer is listed without figures. */
const PATIENCE_MS = 10_000;

const NOTES = `
Measures each engine, and remembers the fastest exact one for --engine auto.
Two speeds are printed. Megapixels of features per second: how fast a picture
decodes. Tiles of 256 x 256 pixels per second, from decoded features: how fast a
viewer pans and zooms.`;

export default function enginesCommand(): Command {
  const command = new Command('engines').addHelpText('after', NOTES).action(run);
  return addOutputOptions(addThreadsAndModel(command, modelOption('to measure with')));
}

async function run(options: Options): Promise<void> {
  const terminal = new Terminal(options);
  const signal = interruption();
  const model = await commandModel(options);
  const found: Found[] = [];
  await terminal.progress('Measuring engines', async (onProgress) => {
    for (const entry of ENGINES) {
      signal.throwIfAborted();
      found.push(await examine(entry, model, options.threads, signal));
      onProgress({ done: found.length, total: ENGINES.length });
    }
  });
  const best = bestOf(found);
  if (best && best.engine !== 'reference')
    await choiceFile()?.remember(model, {
      engine: best.engine,
      ...(best.device !== undefined && { device: best.device }),
    });
  for (const one of found) {
    const record = { ...one, chosen: one === best };
    terminal.result(record, lineOf(record));
  }
}

async function examine(
  entry: EngineEntry,
  model: Model,
  threads: number | undefined,
  signal: AbortSignal,
): Promise<Found> {
  const { name, exact } = entry;
  const base = { engine: name, exact, chosen: false };
  let engine: Engine;
  try {
    engine = await entry.open(model, { signal, ...(threads !== undefined && { threads }) });
  } catch (error) {
    signal.throwIfAborted();
    if (!isLiifError(error)) throw error;
    return { ...base, available: false, problem: error.message };
  }
  const there = {
    ...base,
    available: true,
    threads: engine.threads,
    ...(engine.device !== undefined && { device: engine.device }),
  };
  const patience = AbortSignal.timeout(PATIENCE_MS);
  try {
    const speed = await measureSpeed(engine, {
      seconds: SECONDS,
      signal: AbortSignal.any([signal, patience]),
    });
    return { ...there, speed };
  } catch (error) {
    signal.throwIfAborted();
    if (patience.aborted) return { ...there, problem: `slower than ${PATIENCE_MS / 1000} s a measurement` };
    if (!isLiifError(error)) throw error;
    return { ...there, problem: error.message };
  } finally {
    await engine.close();
  }
}

/**
 * The engine that `auto` takes: the fastest exact one. The reference engine is taken only where there is no
 * other.
 */
function bestOf(found: readonly Found[]): Found | undefined {
  const exact = found.filter((one) => one.exact && one.available);
  const fast = exact.filter(({ engine }) => engine !== 'reference');
  const score = ({ speed }: Found) => (speed ? scoreOfSpeed(speed) : 0);
  return (fast.length > 0 ? fast : exact).toSorted((a, b) => score(b) - score(a))[0];
}

function lineOf({ engine, available, exact, device, threads, speed, chosen, problem }: Found): string {
  const title = `${engine}${chosen ? ' (auto)' : ''}`.padEnd(18);
  if (!available) return `${title} not here: ${problem}`;
  const where = device ?? `${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  const fast = speed
    ? `${shortNumber(speed.megapixels)} megapixels/s of features, ${shortNumber(speed.tiles)} tiles/s`
    : problem;
  return `${title} ${exact ? 'exact' : 'not exact'}, ${where}: ${fast}`;
}

/** A number with at most three digits. */
function shortNumber(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(value >= 10 ? 3 : 2);
}
