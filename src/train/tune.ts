import { setImmediate } from 'node:timers/promises';
import { RequestError } from '../errors.ts';
import { loadModel } from '../network/load.ts';
import type { Model } from '../network/model.ts';
import { convExponents } from './network/exponents.ts';
import { type Batch, type BatchOptions, nativeBatch, nextBatch } from './pictures/batches.ts';
import type { Piece } from './pictures/corpus.ts';
import { seededRandom } from './random.ts';
import { refitTables, SymbolCounts } from './refit-tables.ts';
import { StepClock } from './step-clock.ts';
import type { TrainingBackend } from './tensorflow.ts';
import { type StepFigures, Trainer, type TrainerState } from './trainer.ts';
import { type BaseModel, tunedModel } from './tuned-model.ts';

export interface TuneSettings {
  /** The end of the run, in steps or in seconds of training. The learning rate falls towards it. */
  readonly until: { readonly steps: number } | { readonly seconds: number };
  /** Pictures per step, and their side in pixels: a multiple of 128. */
  readonly batch: number;
  readonly side: number;
  /** Highest learning rate of Adam, in the floats that the network was trained as. */
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
  /** State to go on from. */
  readonly from?: TuneState;
  readonly signal?: AbortSignal;
  readonly onStep?: (step: TuneStep) => void;
  /** Called after the last step, while symbols are counted, with the share that is done, 0..1. */
  readonly onCounted?: (share: number) => void;
  /**
   * Called with a state that `from` takes: every two minutes, when all steps are done, and before the call
   * rejects because `signal` was aborted or a batch could not be made.
   */
  readonly onState?: (state: TuneState) => Promise<void>;
}

export interface TuneProgress {
  readonly step: number;
  /** Time of training, without pauses. */
  readonly seconds: number;
}

/** All that is needed to go on. */
export interface TuneState extends TuneProgress {
  /** Steps whose gradients were not finite. */
  readonly skipped: number;
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

/** The rate rises over so many steps, or over this share of the run if that is shorter. */
const WARM_UP_STEPS = 50;
const WARM_UP_SHARE = 0.05;
/** Learning rate at the end, as a share of the highest. */
const LAST_SHARE = 0.01;
const SECONDS_BETWEEN_STATES = 120;
/** A run ends after so many steps in a row without a finite gradient. */
const MOST_IN_VAIN = 20;
/**
 * Batches whose symbols are counted for the tables. Counting ends sooner, but not below FEWEST_COUNTED, after
 * a share of the seconds for training.
 */
const COUNTED_BATCHES = 48;
const FEWEST_COUNTED = 4;
const COUNTED_SHARE = 1 / 20;

/**
 * Fine-tunes a model on rate and distortion of `pieces` (`batchLoss`), encoder and decoder together.
 * Convolutions and the head's last layer are trained; quality rows, quantization steps and the graph stay.
 * Afterwards CDF tables are fitted to the symbols that occur, and weights become integers again
 * (`tunedModel`). `base` is the result of `readModelFile`. Rejects with RequestError where there is nothing
 * to learn from or training diverges, with EngineError where TensorFlow.js fails, and with the signal's
 * reason.
 */
export async function tune(base: BaseModel, options: TuneOptions): Promise<TunedModel> {
  const { settings, pieces, from } = options;
  if (pieces.length === 0) throw new RequestError('There is no picture to learn from');
  const { model, bytes } = base;
  const trainer = new Trainer(options.backend, model, convExponents(bytes));
  try {
    if (from) await trainer.restore(from.trainer);
    const { step, skipped } = await train(trainer, options);
    const tables = await countedTables(trainer, model, batchOptions(settings, pieces, step), options);
    const provenance = { tuned: { base: model.hash, steps: step, pieces: pieces.length, ...settings } };
    const file = await tunedModel(base, trainer.network, { name: options.name, tables, provenance });
    return { file, model: await loadModel(file), steps: step, skipped };
  } finally {
    trainer.close();
  }
}

/** Steps until the run ends. Resolves with the number of steps, and of those without finite gradients. */
async function train(trainer: Trainer, options: TuneOptions): Promise<{ step: number; skipped: number }> {
  const { settings, pieces, signal, onStep, onState } = options;
  let { step, seconds, skipped } = options.from ?? { step: 0, seconds: 0, skipped: 0 };
  let savedAt = seconds;
  let inVain = 0;
  const clock = new StepClock();
  const share = () =>
    'steps' in settings.until ? step / settings.until.steps : seconds / settings.until.seconds;
  const next = () => {
    const batch = nextBatch(batchOptions(settings, pieces, step));
    // A failure is handled by `await coming`, after the step that runs meanwhile.
    batch.catch(() => {});
    return batch;
  };
  const keep = async () => onState?.({ step, seconds, skipped, trainer: await trainer.save() });

  let coming = next();
  let last = performance.now();
  while (share() < 1) {
    let batch: Batch;
    try {
      signal?.throwIfAborted();
      batch = await coming;
    } catch (error) {
      await keep();
      throw error;
    }
    const rate = rateAt(settings.rate, share(), step);
    step++;
    // The next batch is cut and resampled in other threads while this one computes.
    coming = next();
    const figures = await trainer.step(batch, rate);
    // TensorFlow's C library blocks this thread: without a pause, signals of the system would never be
    // handled.
    await setImmediate();
    if (!figures.stepped) skipped++;
    inVain = figures.stepped ? 0 : inVain + 1;
    const now = performance.now();
    seconds += clock.counted((now - last) / 1000);
    last = now;
    onStep?.({ step, seconds, share: Math.min(1, share()), ...figures });
    if (inVain >= MOST_IN_VAIN)
      throw new RequestError(
        `The last ${inVain} steps had no finite gradient: training has diverged; start anew, with a lower rate`,
      );
    if (seconds - savedAt >= SECONDS_BETWEEN_STATES) {
      savedAt = seconds;
      await keep();
      last = performance.now();
    }
  }
  // The state is kept once more, because fitting tables may be interrupted or fail.
  await keep();
  return { step, skipped };
}

/** Every step has a seed of its own, so that a run that was interrupted goes on as if it had not been. */
function batchOptions(settings: TuneSettings, pieces: readonly Piece[], step: number): BatchOptions {
  const { batch, side, qualities, seed } = settings;
  return { pieces, random: seededRandom(seed * 1_000_003 + step), count: batch, side, qualities };
}

/**
 * The schedule: the learning rate rises linearly at first, then falls by a cosine. `share` of the run, 0..1.
 */
function rateAt(rate: number, share: number, step: number): number {
  const falling = LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + Math.cos(Math.PI * share));
  const rising = Math.max((step + 1) / WARM_UP_STEPS, share / WARM_UP_SHARE);
  return rate * falling * Math.min(1, rising);
}

/** Counts the symbols of batches at native scale, and fits the CDF tables to them. */
async function countedTables(
  trainer: Trainer,
  model: Model,
  batches: BatchOptions,
  { settings: { until }, signal, onCounted }: TuneOptions,
): Promise<Model['tables']> {
  const counts = new SymbolCounts();
  const begin = performance.now();
  const seconds = 'steps' in until ? Number.POSITIVE_INFINITY : COUNTED_SHARE * until.seconds;
  for (let i = 0; i < COUNTED_BATCHES; i++) {
    signal?.throwIfAborted();
    const spent = (performance.now() - begin) / 1000 / seconds;
    if (spent >= 1 && i >= FEWEST_COUNTED) break;
    onCounted?.(Math.min(1, Math.max(spent, i / COUNTED_BATCHES)));
    for (const { tables, symbols } of await trainer.symbols(await nativeBatch(batches)))
      counts.add(tables, symbols);
  }
  return refitTables(model.tables, counts.tables);
}
