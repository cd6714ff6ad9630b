/** Exports of kernels/index.ts and kernels/gradient.ts, which explain the arguments. */
export interface Kernels {
  conv(...args: number[]): void;
  winograd(...args: number[]): void;
  /** Sets the address of the thread's scratch memory, SCRATCH_BYTES of it. */
  useScratch(address: number): void;
  addRow(...args: number[]): void;
  clear(...args: number[]): void;
  gather(...args: number[]): void;
  head(...args: number[]): void;
  spread(...args: number[]): void;
  joinBlocks(...args: number[]): void;
  reduceRows(...args: number[]): void;
  reduceColumns(...args: number[]): void;
  headGradient(...args: number[]): void;
  slope(...args: number[]): void;
  decodeSymbols(...args: number[]): number;
  decodeLatents(...args: number[]): number;
}

/**
 * One kernel call, cut into strips of rows that several threads take in turn. `args`: the kernel's arguments
 * but the last two, which are the first and the end row of a strip.
 */
export interface Operation {
  readonly kernel: Exclude<keyof Kernels, 'decodeSymbols' | 'decodeLatents' | 'useScratch'>;
  readonly args: readonly number[];
  readonly rows: number;
  /** Rows of a strip. */
  readonly stripRows: number;
  /** Whether all strips must be done before the next operation begins. */
  readonly barrier: boolean;
}

/** Control words of a program that runs on several threads: int32 in shared memory. */
export const ABORT = 0;
const HEADER_WORDS = 1;
/** For each operation: strips taken, threads that are done. */
const OPERATION_WORDS = 2;

/** How long a thread sleeps at most before it checks for an abort. */
const WAIT_MS = 50;
/** How often a thread checks a barrier before it sleeps: the others usually arrive within microseconds. */
const SPINS = 4000;

/** Control words of a program of so many operations. */
export function controlWords(operations: number): number {
  return HEADER_WORDS + OPERATION_WORDS * operations;
}

/** Runs a whole program on the calling thread. */
export function runAlone(kernels: Kernels, operations: readonly Operation[]): void {
  for (const operation of operations) runStrip(kernels, operation, 0, operation.rows);
}

/**
 * Takes part in a program that `threads` threads run together, all with the same control words. `first`: the
 * first control word of its operations. Every thread leaves an aborted program at once; its results are
 * worthless.
 *
 * Returns false if the only thread of a program has stopped in the middle, because `performance.now()` was
 * beyond `until`. Called again with the same control words, it goes on.
 */
export function runTogether(
  kernels: Kernels,
  operations: readonly Operation[],
  control: Int32Array,
  threads: number,
  first = HEADER_WORDS,
  until = Number.POSITIVE_INFINITY,
): boolean {
  for (let i = 0; i < operations.length; i++) {
    const operation = operations[i]!;
    const taken = first + OPERATION_WORDS * i;
    while (true) {
      if (Atomics.load(control, ABORT) !== 0) return true;
      if (threads === 1 && performance.now() > until) return false;
      const from = Atomics.add(control, taken, operation.stripRows);
      if (from >= operation.rows) break;
      runStrip(kernels, operation, from, Math.min(operation.rows, from + operation.stripRows));
    }
    if (operation.barrier && threads > 1 && !meet(control, taken + 1, threads)) return true;
  }
  return true;
}

/** Waits until `threads` threads have come here. False if the program was aborted. */
function meet(control: Int32Array, word: number, threads: number): boolean {
  if (Atomics.add(control, word, 1) === threads - 1) {
    Atomics.notify(control, word);
    return true;
  }
  return waitFor(control, word, threads);
}

/** Waits until a control word that only grows is at least `least`. False if the program was aborted. */
export function waitFor(control: Int32Array, word: number, least: number): boolean {
  for (let spin = 0; spin < SPINS; spin++) if (Atomics.load(control, word) >= least) return true;
  while (true) {
    const value = Atomics.load(control, word);
    if (value >= least) return true;
    if (Atomics.load(control, ABORT) !== 0) return false;
    Atomics.wait(control, word, value, WAIT_MS);
  }
}

function runStrip(kernels: Kernels, operation: Operation, from: number, to: number): void {
  kernels[operation.kernel](...operation.args, from, to);
}
