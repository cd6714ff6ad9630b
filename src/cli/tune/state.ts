import { rm } from 'node:fs/promises';
import { isLiifError, RequestError } from '../../errors.ts';
import { OutputError } from '../../image/errors.ts';
import { type RunState, readRunState, writeRunState } from '../../train/run-state.ts';
import type { TuneState } from '../../train/tune.ts';
import { placeOf } from '../inputs.ts';
import { interruption } from '../interruption.ts';
import type { Terminal } from '../terminal.ts';
import type { ChosenPictures } from './pictures.ts';

/** What has to be the same when a run goes on. */
export type SameRun = Pick<RunState, 'base' | 'settings'> & { readonly pictures: readonly string[] };

/**
 * The state to go on from; undefined for a new run. Rejects with RequestError where there is a state without
 * `resume`, none with it, or one of another run.
 */
export async function stateOf(path: string, resume: boolean, run: SameRun): Promise<RunState | undefined> {
  const state = await readRunState(path);
  if (!state) {
    if (resume) throw new RequestError(`${path}: there is no interrupted run to go on with`);
    return undefined;
  }
  if (!resume)
    throw new RequestError(`${path}: is an interrupted run; go on with --resume, or remove it to start anew`);
  if (state.base !== run.base) throw new RequestError(`${path}: is a run from other weights (${state.base})`);
  for (const [key, value] of Object.entries(run.settings)) {
    const [was, is] = [JSON.stringify(state.settings[key]), JSON.stringify(value)];
    if (was !== is)
      throw new RequestError(`${path}: is a run with other options: ${key} was ${was} and is ${is} now`);
  }
  expectSame(
    path,
    state.pictures.named,
    run.pictures.map((picture) => placeOf(picture)),
  );
  return state;
}

/**
 * With other pictures others would be held out, and models compared on pictures that they have learned from.
 */
function expectSame(path: string, before: readonly string[], now: readonly string[]): void {
  const [old, fresh] = [new Set(before), new Set(now)];
  const changes = [
    ...before.filter((place) => !fresh.has(place)).map((place) => `${place} is missing`),
    ...now.filter((place) => !old.has(place)).map((place) => `${place} is new`),
  ];
  if (changes.length === 0) return;
  const more = changes.length > 1 ? `, and there are ${changes.length - 1} more such changes` : '';
  throw new RequestError(`${path}: is a run with other pictures: ${changes[0]}${more}`);
}

/** The pictures as the state of a run names them. */
export function placesOf(named: readonly string[], { learned, held }: ChosenPictures): RunState['pictures'] {
  const places = (paths: readonly string[]) => paths.map((path) => placeOf(path));
  return { named: places(named), learned: places(learned), held: places(held) };
}

/** Keeps the state of a run in a file, to go on from after an interruption. */
export class StateKeeper {
  readonly #path: string;
  readonly #run: Omit<RunState, keyof TuneState>;
  readonly #terminal: Terminal;
  #keptStep: number | undefined;

  constructor(path: string, run: Omit<RunState, keyof TuneState>, terminal: Terminal) {
    this.#path = path;
    this.#run = run;
    this.#terminal = terminal;
  }

  /**
   * Writes the state. Where it cannot be written, warns and lets the run go on: there may be room for the
   * weights.
   */
  async keep(reached: TuneState): Promise<void> {
    try {
      await writeRunState(this.#path, { ...this.#run, ...reached });
      this.#keptStep = reached.step;
    } catch (error) {
      if (interruption().aborted || !(error instanceof OutputError)) throw error;
      this.#terminal.warning(`${error.message}; the run goes on, but --resume could not`);
    }
  }

  /**
   * After an error that ended the run. Nothing is said of a RequestError of training, such as divergence,
   * which would come again.
   */
  tellHowToGoOn(error: unknown): void {
    if (this.#keptStep === undefined) return;
    if (isLiifError(error, 'RequestError') && !(error instanceof OutputError)) return;
    this.#terminal.note(
      `step ${this.#keptStep} is kept in ${this.#path}; go on with the same command and --resume`,
    );
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true }).catch((error: Error) => this.#terminal.warning(error.message));
  }
}
