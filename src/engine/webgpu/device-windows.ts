import { EngineError } from '../../errors.ts';
import type { Layer } from '../../network/model.ts';
import type { Extent, Patch, Rect } from '../engine.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { OpenDevice } from './device.ts';
import { Gathering } from './gathering.ts';
import { fitTogether, type LayerRun, type RunLimits, takeAlike } from './layer-run.ts';
import { type LayerRunner, layOut } from './layer-runner.ts';
import { type Dispatch, planLayers, type Tensor } from './plan.ts';
import type { Submitter } from './submission.ts';

interface WaitingWindow extends LayerRun {
  /** Throws if the caller has given up. */
  readonly check: () => void;
  readonly resolve: (buffer: GPUBuffer) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Makes windows of analysis and synthesis, which stay on the device. Windows that gather while it is busy are
 * made together.
 */
export class DeviceWindows {
  readonly #open: OpenDevice;
  readonly #pool: BufferPool;
  readonly #submitter: Submitter;
  readonly #runner: LayerRunner;
  readonly #limits: RunLimits;
  readonly #waiting: Gathering<WaitingWindow>;

  constructor(
    open: OpenDevice,
    pool: BufferPool,
    submitter: Submitter,
    runner: LayerRunner,
    limits: RunLimits,
  ) {
    this.#open = open;
    this.#pool = pool;
    this.#submitter = submitter;
    this.#runner = runner;
    this.#limits = limits;
    this.#waiting = new Gathering(
      (waiting) => takeAlike(waiting, limits),
      (batch) => this.#submit(batch),
    );
  }

  /**
   * Runs layers; the buffer with their output belongs to the caller. `check` is called before and after, and
   * may throw, which rejects the call.
   */
  make(
    layers: readonly Layer[],
    { rect, channels, data }: Patch,
    extent: Extent,
    output: Tensor,
    quality: number,
    check: () => void,
  ): Promise<GPUBuffer> {
    const input: Tensor = { rect, channels };
    // A window whose tensors are too large for the device is made in bands of rows, to the same bytes.
    const planned = (window: Rect): Dispatch[] => {
      const dispatches = planLayers(layers, input, extent, window, quality, output);
      if (fitTogether([{ input, dispatches, outputs: [output] }], this.#limits)) return dispatches;
      if (window.height === 1 || dispatches.length === 1)
        throw new EngineError(`A window of ${window.width} columns is too large for this graphics device`);
      const upper = window.height >> 1;
      return [
        { ...window, height: upper },
        { ...window, top: window.top + upper, height: window.height - upper },
      ].flatMap(planned);
    };
    const dispatches = planned(output.rect);
    return new Promise((resolve, reject) =>
      this.#waiting.add({ input, data, dispatches, outputs: [output], check, resolve, reject }),
    );
  }

  async #submit(batch: WaitingWindow[]): Promise<void> {
    const wanted = batch.filter(isWanted);
    if (wanted.length === 0) return;
    let buffers: GPUBuffer[];
    try {
      buffers = await this.#submitter.submit((submission) => {
        const kept = wanted.flatMap(({ outputs }) => layOut(outputs, (size) => submission.keep(size)));
        this.#runner.record(submission, wanted, new Map(kept));
        return kept.map(([, { buffer }]) => buffer);
      });
    } catch (error) {
      if (wanted.length === 1) wanted[0]!.reject(error);
      // Together they may have been too large: try one by one.
      else for (const window of wanted) await this.#submit([window]);
      return;
    }
    wanted.forEach((window, i) => {
      if (isWanted(window)) window.resolve(buffers[i]!);
      else this.#pool.free(buffers[i]!);
    });
    // The callers go on at once; only this batch lasts until the device is done, so that later windows
    // gather. A loss of the device shows at a readback.
    await this.#open.unlessLost(this.#open.device.queue.onSubmittedWorkDone()).catch(() => {});
  }
}

function isWanted({ check, reject }: WaitingWindow): boolean {
  try {
    check();
    return true;
  } catch (error) {
    reject(error);
    return false;
  }
}
