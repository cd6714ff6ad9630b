import { setImmediate } from 'node:timers/promises';
import { RequestError } from '../errors.ts';
import { loadModel } from '../network/load.ts';
import type { Model } from '../network/model.ts';
import { type BatchOptions, nativeBatch, nextBatch } from './batches.ts';
import type { Piece } from './corpus.ts';
import { convExponents } from './exponents.ts';
import { seededRandom } from './random.ts';
import { refitTables, SymbolCounts } from './refit-tables.ts';
import type { TrainingBackend } from './tensorflow.ts';
import { type StepFigures, Trainer, type TrainerState } from './trainer.ts';
import { type BaseModel, tunedModel } from './tuned-model.ts';

export interface TuneSettings {
  /** What the run stops at: so many steps, or so many seconds of training. The rate falls towards it. */
  readonly until: { readonly steps: number } | { readonly seconds: number };
  /** Pictures of a step, and their side in pixels: a multiple of 128. */
  readonly batch: number;
  readonly side: number;
  /** Adam's largest step, in the floats that the network was trained as. */
  readonly rate: number;
  readonly qualities: readonly [number, number];
  readonly seed: number;
}

export interface TuneOptions {
  readonly settings: TuneSettings;
  /** Pictures to learn from (`cutPieces`), none smaller than `side`. */
  readonly pieces: readonly Piece[];
  /** Name of the new model, `[a-z0-9.-]{1,64}`. */
  readonly name: string;
  readonly backend: TrainingBackend;
  /** Where to go on. */
  readonly from?: TuneState;
  readonly signal?: AbortSignal;
  readonly onStep?: (step: TuneStep) => void;
  /** Called now and then, before the call rejects because `signal` was aborted, and when all steps are done: what is kept of it is a `from`. */
  readonly onState?: (state: TuneState) => Promise<void>;
}

export interface TuneProgress {
  readonly step: number;
  /** Spent on training. */
  readonly seconds: number;
}

/** All that is needed to go on. */
export interface TuneState extends TuneProgress {
  readonly trainer: TrainerState;
}

export interface TuneStep extends TuneProgress, StepFigures {
  /** Of the run, 0..1. */
  readonly share: number;
}

export interface TunedModel {
  readonly file: Uint8Array;
  readonly model: Model;
  readonly steps: number;
  /** Steps whose gradients were not finite. */
  readonly skipped: number;
}

export const DEFAULT_SETTINGS: TuneSettings = {
  until: { seconds: 1800 },
  batch: 2,
  side: 256,
  rate: 2e-5,
  qualities: [1, 100],
  seed: 1,
};

/** The rate rises over so many steps, or this share of a short run. */
const WARM_UP_STEPS = 50;
const WARM_UP_SHARE = 0.05;
/** Of the rate, at the end. */
const LAST_SHARE = 0.01;
const SECONDS_BETWEEN_STATES = 120;
/** A longer step is a pause of the machine, and not counted. */
const LONGEST_STEP_SECONDS = 30;
/** Batches whose symbols are counted for the tables. */
const COUNTED_BATCHES = 48;

/**
 * Fine-tunes a model: its convolutions and the head's last layer, encoder and decoder together, on rate and distortion of `pieces`. Quality rows,
 * steps and the graph stay; CDF tables are fitted to the symbols that occur. `base` is what `readModelFile` gives. Rejects with RequestError where
 * there is nothing to learn from, with the signal's reason when aborted.
 */
export async function tune(base: BaseModel, options: TuneOptions): Promise<TunedModel> {
  const { settings, pieces, signal, from } = options;
  if (pieces.length === 0) throw new RequestError('There is no picture to learn from');
  const { model, bytes } = base;
  const trainer = new Trainer(options.backend, model, convExponents(bytes));
  try {
    if (from) await trainer.restore(from.trainer);
    const { step, skipped } = await train(trainer, options);
    const tables = await countedTables(trainer, model, batchOptions(settings, pieces, step), signal);
    const provenance = { tuned: { base: model.hash, steps: step, pieces: pieces.length, ...settings } };
    const file = await tunedModel(base, trainer.network, { name: options.name, tables, provenance });
    return { file, model: await loadModel(file), steps: step, skipped };
  } finally {
    trainer.close();
  }
}

async function train(trainer: Trainer, options: TuneOptions): Promise<{ step: number; skipped: number }> {
  const { settings, pieces, signal, onStep, onState } = options;
  let { step, seconds } = options.from ?? { step: 0, seconds: 0 };
  let savedAt = seconds;
  let skipped = 0;
  const share = () =>
    'steps' in settings.until ? step / settings.until.steps : seconds / settings.until.seconds;
  const next = () => nextBatch(batchOptions(settings, pieces, step));
  const keep = async () => onState?.({ step, seconds, trainer: await trainer.save() });

  let coming = next();
  let last = performance.now();
  while (share() < 1) {
    if (signal?.aborted) {
      await keep();
      throw signal.reason;
    }
    const batch = await coming;
    const rate = rateAt(settings.rate, share(), step);
    step++;
    // Cut and reduced in other threads while this one computes.
    coming = next();
    const figures = await trainer.step(batch, rate);
    // TensorFlow's C library answers at once: without a pause no signal of the system would be heard.
    await setImmediate();
    if (!figures.stepped) skipped++;
    const now = performance.now();
    seconds += Math.min(LONGEST_STEP_SECONDS, (now - last) / 1000);
    last = now;
    onStep?.({ step, seconds, share: Math.min(1, share()), ...figures });
    if (seconds - savedAt >= SECONDS_BETWEEN_STATES) {
      savedAt = seconds;
      await keep();
      last = performance.now();
    }
  }
  await coming;
  // What follows may be interrupted, or fail.
  await keep();
  return { step, skipped };
}

/** Every step draws from a seed of its own, so that a run that was interrupted goes on as if it had not been. */
function batchOptions(settings: TuneSettings, pieces: readonly Piece[], step: number): BatchOptions {
  const { batch, side, qualities, seed } = settings;
  return { pieces, random: seededRandom(seed * 1_000_003 + step), count: batch, side, qualities };
}

/** Rises at first, then falls by a cosine. */
function rateAt(rate: number, share: number, step: number): number {
  const falling = LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + Math.cos(Math.PI * share));
  const rising = Math.max((step + 1) / WARM_UP_STEPS, share / WARM_UP_SHARE);
  return rate * falling * Math.min(1, rising);
}

async function countedTables(
  trainer: Trainer,
  model: Model,
  batches: BatchOptions,
  signal: AbortSignal | undefined,
): Promise<Model['tables']> {
  const counts = new SymbolCounts();
  for (let i = 0; i < COUNTED_BATCHES; i++) {
    signal?.throwIfAborted();
    for (const { tables, symbols } of await trainer.symbols(await nativeBatch(batches)))
      counts.add(tables, symbols);
  }
  return refitTables(model.tables, counts.tables);
}
