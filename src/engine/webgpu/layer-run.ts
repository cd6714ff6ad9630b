import { bytesOf, type Dispatch, type Tensor, tensorBytes } from './plan.ts';

/** A run of layers over one window: its dispatches, and its tensors. */
export interface PlannedRun {
  readonly input: Tensor;
  readonly dispatches: readonly Dispatch[];
  readonly outputs: readonly Tensor[];
}

export interface LayerRun extends PlannedRun {
  readonly data: Int16Array;
}

/** Limits of runs that are made together, in bytes. */
export interface RunLimits {
  /** Most bytes of one tensor of all windows, which a kernel binds. */
  readonly binding: number;
  /** Most bytes of tensors between layers. */
  readonly scratch: number;
}

/** Runs that are made together, at most: WINDOWS of layer.wgsl. */
export const MOST_WINDOWS = 16;

/**
 * Removes the first of these runs, and as many as can be made together with it: they have the same kernels
 * and weights, and fit.
 */
export function takeAlike<T extends LayerRun>(waiting: T[], limits: RunLimits): T[] {
  const taken = waiting.splice(0, 1);
  for (let i = 0; i < waiting.length && taken.length < MOST_WINDOWS; ) {
    const more = [...taken, waiting[i]!];
    if (areAlike(taken[0]!, waiting[i]!) && fitTogether(more, limits)) taken.push(...waiting.splice(i, 1));
    else i++;
  }
  return taken;
}

/**
 * Whether these runs, which have the same kernels, fit: each tensor shares a buffer with those of the other
 * runs.
 */
export function fitTogether(runs: readonly PlannedRun[], { binding, scratch }: RunLimits): boolean {
  const [{ dispatches, outputs }] = runs as [PlannedRun];
  const inputs = bytesOf(runs.map(({ input }) => input));
  let largest = 0;
  dispatches.forEach(({ output }, i) => {
    if (outputs.includes(output)) return;
    largest = Math.max(largest, bytesOf(runs.map((run) => run.dispatches[i]!.output)));
  });
  const kept = Math.max(...runs.flatMap((run) => run.outputs.map(tensorBytes)));
  // A residual holds three tensors at a time.
  return Math.max(inputs, largest, kept) <= binding && 3 * largest <= scratch;
}

function areAlike({ dispatches: a }: LayerRun, { dispatches: b }: LayerRun): boolean {
  return (
    a.length === b.length &&
    a.every(({ kernel, layer }, i) => kernel === b[i]!.kernel && layer === b[i]!.layer)
  );
}
