import { EngineError } from '../../../errors.ts';
import {
  ABORT,
  controlWords,
  type Kernels,
  type Operation,
  runAlone,
  runTogether,
  waitFor,
} from './program.ts';

/**
 * One chunk on several threads. One thread leads: it codes the symbols, and begins a network as soon as its
 * input is there, with the helpers that have come by then. Helpers may come at any time, and stay to the end.
 *
 * Control words, int32 in shared memory:
 *
 *   ABORT HELPERS                  helpers that have come for each network         threads that run it, 0
 *   before it begins; then the control words of its program (program.ts)
 */
const HELPERS = 1;
const HEADER_WORDS = 2;

/** Control words of a chunk with `networks` networks, of at most `operations` kernel calls each. */
export function teamWords(networks: number, operations: number): number {
  return HEADER_WORDS + networks * networkWords(operations);
}

function networkWords(operations: number): number {
  return 1 + controlWords(operations);
}

export class ChunkTeam {
  readonly #kernels: Kernels;
  readonly #control: Int32Array;
  readonly #networks: number;
  readonly #pitch: number;

  /** `control`: `teamWords` words that were zero when the first thread came. */
  constructor(kernels: Kernels, control: Int32Array, networks: number, operations: number) {
    this.#kernels = kernels;
    this.#control = control;
    this.#networks = networks;
    this.#pitch = networkWords(operations);
  }

  /** Runs a network whose input is there. Throws EngineError once the chunk was aborted. */
  lead(number: number, operations: readonly Operation[]): void {
    const control = this.#control;
    const threads = 1 + Atomics.load(control, HELPERS);
    const begun = this.#word(number);
    Atomics.store(control, begun, threads);
    Atomics.notify(control, begun);
    if (threads === 1) runAlone(this.#kernels, operations);
    else runTogether(this.#kernels, operations, control, threads, begun + 1);
    if (Atomics.load(control, ABORT) !== 0) throw new EngineError('the call was aborted');
  }

  /** Sends the helpers away: the chunk cannot be coded to its end. */
  giveUp(): void {
    Atomics.store(this.#control, ABORT, 1);
    for (let number = 0; number < this.#networks; number++) Atomics.notify(this.#control, this.#word(number));
  }

  /** Helps with every network from `first` on that has not begun. */
  help(first: number, plan: (number: number) => readonly Operation[]): void {
    const control = this.#control;
    const place = 1 + Atomics.add(control, HELPERS, 1);
    for (let number = first; number < this.#networks; number++) {
      const operations = plan(number);
      const begun = this.#word(number);
      if (!waitFor(control, begun, 1)) return;
      const threads = Atomics.load(control, begun);
      if (place < threads) runTogether(this.#kernels, operations, control, threads, begun + 1);
    }
  }

  #word(number: number): number {
    return HEADER_WORDS + number * this.#pitch;
  }
}
