import type { TensorFlowBackend } from '../../engine/tensorflow/backend.ts';
import { RequestError } from '../../errors.ts';
import { cutPieces } from '../../train/pictures/corpus.ts';
import { seededRandom } from '../../train/random.ts';
import type { RunState } from '../../train/run-state.ts';
import type { TrainingBackend } from '../../train/tensorflow.ts';
import { type TunedModel, type TuneSettings, type TuneState, type TuneStep, tune } from '../../train/tune.ts';
import type { BaseModel } from '../../train/tuned-model.ts';
import { interruption } from '../interruption.ts';
import { countText, type Shown, type Terminal } from '../terminal.ts';
import { skipTeller } from './pictures.ts';

/** A tenth as fast as TensorFlow's C library on the same processor. */
const SLOW_BACKENDS: readonly TensorFlowBackend[] = ['wasm', 'cpu'];
const NOTE_EVERY_SECONDS = 60;
/** Figures that are shown are running means; this is the weight of the newest step. */
const MEAN_SHARE = 1 / 50;

/** What `train` needs besides pictures. */
export interface Run {
  readonly base: BaseModel;
  /** Of the new weights. */
  readonly name: string;
  readonly state: RunState | undefined;
  readonly settings: TuneSettings;
  readonly backend: TrainingBackend;
  readonly keep: (state: TuneState) => Promise<void>;
}

/** The new weights, and the number of pictures that they have learned from. */
export interface Trained {
  readonly tuned: TunedModel;
  readonly pictures: number;
}

/**
 * Trains on pictures, and shows how far that is. Rejects with RequestError where no picture is large enough,
 * and as `tune` does.
 */
export async function train(
  learned: readonly string[],
  { base, name, state, settings, backend, keep }: Run,
  terminal: Terminal,
): Promise<Trained> {
  const signal = interruption();
  const { pieces, pictures } = await terminal.progress('Reading pictures', (onProgress) =>
    cutPieces(learned, {
      smallest: settings.side,
      random: seededRandom(settings.seed),
      signal,
      onProgress,
      onSkip: skipTeller(terminal),
    }),
  );
  if (pieces.length === 0)
    throw new RequestError(
      `There is nothing to learn from: of ${learned.length} pictures none has ${settings.side} pixels on a side`,
    );
  if (SLOW_BACKENDS.includes(backend.backend))
    terminal.warning(
      `training on TensorFlow.js' ${backend.backend} backend takes ten times as long as with @tensorflow/tfjs-node`,
    );
  terminal.note(
    `${state ? `going on from step ${state.step}` : 'starting'} with ${countText(pieces.length, 'piece')} of ${countText(pictures, 'picture')}, on TensorFlow.js' ${backend.backend} backend`,
  );
  const tuned = await terminal.progress('Tuning', (onProgress) => {
    const told = teller(terminal, onProgress);
    return tune(base, {
      settings,
      pieces,
      name,
      signal,
      backend,
      ...(state && { from: state }),
      onStep: told,
      onCounted: (share) => {
        if (share === 0 && !process.stderr.isTTY) terminal.note('fitting tables to the symbols that occur');
        onProgress({ done: share, total: 1, title: 'Fitting tables' });
      },
      onState: keep,
    });
  });
  if (tuned.skipped > 0) terminal.warning(`${tuned.skipped} of ${tuned.steps} steps had no finite gradient`);
  return { tuned, pictures };
}

/** Shows the progress of training: in the bar, or where there is none, as a line per minute. */
function teller(terminal: Terminal, onProgress: (progress: Shown) => void): (step: TuneStep) => void {
  let bits = 0;
  let error = 0;
  let weight = 0;
  let toldAt = 0;
  return ({ step, seconds, share, bitsPerPixel, squaredError }) => {
    weight += (1 - weight) * MEAN_SHARE;
    bits += (bitsPerPixel - bits) * (MEAN_SHARE / weight);
    error += (squaredError - error) * (MEAN_SHARE / weight);
    const figures = `step ${step}, ${bits.toFixed(3)} bits per pixel, error ${Math.sqrt(error).toFixed(2)} of 255`;
    onProgress({ done: share, total: 1, title: `Tuning, ${figures}` });
    if (process.stderr.isTTY || seconds - toldAt < NOTE_EVERY_SECONDS) return;
    toldAt = seconds;
    terminal.note(`${(100 * share).toFixed(0)} %, ${figures}`);
  };
}
