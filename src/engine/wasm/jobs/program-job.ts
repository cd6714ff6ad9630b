import { FreeList, type WasmHeap } from '../heap.ts';
import { controlWords, type Operation } from '../program/program.ts';
import type { RunningJob } from '../threads/job.ts';

/** A program for `threads` threads that has its memory: what a job needs to run it. */
export interface RunningProgram<Plan> extends Pick<RunningJob<unknown>, 'message' | 'abort'> {
  readonly plan: Plan;
  /** Frees all that the plan has allocated, and the control words. */
  free(): void;
}

/**
 * Allocates memory for all that `plan` takes from its list, and for the program's control words. `plan` runs
 * once for the size, and again for the addresses. Throws as `heap.allocate` does.
 */
export function beginProgram<Plan extends { readonly operations: readonly Operation[] }>(
  heap: WasmHeap,
  threads: number,
  plan: (list: FreeList) => Plan,
): RunningProgram<Plan> {
  const size = new FreeList(0);
  const words = controlWords(plan(size).operations.length);
  const base = heap.allocate(size.end + 4 * words);
  const control = base + size.end;
  const placed = plan(new FreeList(base));
  return {
    plan: placed,
    message: { kind: 'run', operations: placed.operations, control, threads },
    ...heap.control(control, words),
    free: () => heap.free(base),
  };
}
