import { EngineError, isLiifError } from '../errors.ts';
import type { Model } from '../network/model.ts';
import type { Engine, EngineName } from './engine.ts';
import type { EngineEntry, EngineOptions } from './engine-entry.ts';
import { type EngineSpeed, measureSpeed, TILE_SIDE } from './speed.ts';

/** The engine that `auto` took on a machine. */
export interface Choice {
  readonly engine: EngineName;
  /** The device it ran on, where the engine names one. */
  readonly device?: string;
}

/**
 * Keeps choices between processes. Neither call rejects: a choice that cannot be read counts as none, one
 * that cannot be written is lost.
 */
export interface ChoiceMemory {
  recall(model: Model): Promise<Choice | undefined>;
  remember(model: Model, choice: Choice): Promise<void>;
}

/** An engine that has not been measured after this time is not taken. */
const PATIENCE_MS = 3000;
/** Time for each of the two measurements of an engine. */
const MEASURE_SECONDS = 0.25;

/**
 * Opens the fastest exact engine: the one remembered, the only one that runs, or the one that wins a short
 * measurement. The reference engine is too slow to be measured and is taken only when no other runs. Rejects
 * with EngineError when no engine runs.
 */
export async function chooseEngine(
  entries: readonly EngineEntry[],
  model: Model,
  options: EngineOptions,
  memory?: ChoiceMemory,
): Promise<Engine> {
  const exact = entries.filter((entry) => entry.exact);
  const fast = exact.filter(({ name }) => name !== 'reference');
  const { opened, problems } = await openRemembered(fast, model, options, memory);
  if (opened) return opened;

  const best = await openFastest(fast, model, options, problems);
  if (best) {
    // Also where no other engine runs: to find that out takes time as well.
    if (fast.length > 1)
      await memory?.remember(model, {
        engine: best.name,
        ...(best.device !== undefined && { device: best.device }),
      });
    return best;
  }
  for (const entry of exact) {
    const engine = fast.includes(entry) ? undefined : await openOrNote(entry, model, options, problems);
    if (engine) return engine;
  }
  throw new EngineError(`No engine runs here: ${problems.join('; ')}`);
}

/**
 * Opens the fastest of those that run here, if any does. Closes the others, and all of them if it rejects.
 */
async function openFastest(
  entries: readonly EngineEntry[],
  model: Model,
  options: EngineOptions,
  problems: string[],
): Promise<Engine | undefined> {
  const running: Engine[] = [];
  let best: Engine | undefined;
  try {
    for (const entry of entries) {
      options.signal?.throwIfAborted();
      const engine = await openOrNote(entry, model, options, problems);
      if (engine) running.push(engine);
    }
    best = running.length > 1 ? await fastest(running, options.signal) : running[0];
  } finally {
    await Promise.all(running.filter((engine) => engine !== best).map((engine) => engine.close()));
  }
  return best;
}

/** Opens the remembered engine, if it still runs, and on the same device. */
async function openRemembered(
  entries: readonly EngineEntry[],
  model: Model,
  options: EngineOptions,
  memory: ChoiceMemory | undefined,
): Promise<{ opened?: Engine; problems: string[] }> {
  const problems: string[] = [];
  const choice = entries.length > 1 ? await memory?.recall(model) : undefined;
  const entry = entries.find(({ name }) => name === choice?.engine);
  if (!choice || !entry) return { problems };
  const opened = await openOrNote(entry, model, options, []);
  if (opened && opened.device === choice.device) return { opened, problems };
  await opened?.close();
  return { problems };
}

/** Opens an engine. Undefined, with a line in `problems`, if it does not run here. */
async function openOrNote(
  entry: EngineEntry,
  model: Model,
  options: EngineOptions,
  problems: string[],
): Promise<Engine | undefined> {
  try {
    return await entry.open(model, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!isLiifError(error)) throw error;
    problems.push(`${entry.name}: ${error.message}`);
    return undefined;
  }
}

async function fastest(engines: readonly Engine[], signal: AbortSignal | undefined): Promise<Engine> {
  let best: { readonly engine: Engine; readonly score: number } | undefined;
  for (const engine of engines) {
    const score = await scoreOf(engine, signal);
    if (!best || score > best.score) best = { engine, score };
  }
  return best!.engine;
}

/** Megapixels per second from latents to pixels; 0 for an engine that fails or takes too long. */
async function scoreOf(engine: Engine, signal: AbortSignal | undefined): Promise<number> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const either = signal ? AbortSignal.any([signal, patience]) : patience;
  try {
    return scoreOfSpeed(await measureSpeed(engine, { seconds: MEASURE_SECONDS, signal: either }));
  } catch (error) {
    signal?.throwIfAborted();
    if (either.aborted || isLiifError(error)) return 0;
    throw error;
  }
}

/** Megapixels per second of both stages, one after the other: 1 / (1/features + 1/head). */
export function scoreOfSpeed({ megapixels, tiles }: EngineSpeed): number {
  return 1 / (1 / megapixels + 1 / (tiles * (TILE_SIDE ** 2 / 1e6)));
}
