import { bytesOf, type Dispatch, type Tensor, tensorBytes } from './plan.ts';

/** Layers over one window, and their memory. */
export interface PlannedRun {
  readonly input: Tensor;
  readonly dispatches: readonly Dispatch[];
  readonly outputs: readonly Tensor[];
}

export interface LayerRun extends PlannedRun {
  readonly data: Int16Array;
}

/** In bytes. */
export interface RunLimits {
  /** What a kernel binds of one tensor of all windows. */
  readonly binding: number;
  /** What is there only while the layers run. */
  readonly scratch: number;
}

/** WINDOWS of layer.wgsl. */
export const MOST_WINDOWS = 16;

/** Takes the first of these runs, and those that can be made with it: the same kernels and weights, and as many as fit. */
export function takeAlike<T extends LayerRun>(waiting: T[], limits: RunLimits): T[] {
  const taken = waiting.splice(0, 1);
  for (let i = 0; i < waiting.length && taken.length < MOST_WINDOWS; ) {
    const more = [...taken, waiting[i]!];
    if (areAlike(taken[0]!, waiting[i]!) && fitTogether(more, limits)) taken.push(...waiting.splice(i, 1));
    else i++;
  }
  return taken;
}

/** Whether all tensors of these alike runs fit, each with those of the others in one buffer. */
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
