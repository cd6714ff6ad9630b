import { type AsyncChunkNetworks, decodeChunkAsync, encodeChunkAsync } from '../../entropy/chunk.ts';
import { EngineError } from '../../errors.ts';
import type { Layer, Model } from '../../network/model.ts';
import type { EncodedChunk, Extent } from '../engine.ts';
import { joinChannels } from '../reference/layers.ts';
import type { OpenDevice } from './device.ts';
import type { LayerRunner } from './layer-runner.ts';
import { type Dispatch, planLayers, type Tensor, tensorBytes } from './plan.ts';
import type { ReadbackRing } from './readback.ts';
import type { Submission, Submitter } from './submission.ts';

/** A network that a chunk waits for. */
interface Run {
  readonly input: Tensor;
  readonly data: Int16Array;
  readonly dispatches: readonly Dispatch[];
  readonly outputs: readonly Tensor[];
}

interface WaitingRun extends Run {
  readonly resolve: (outputs: Int16Array[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** Submissions under way at once: while the device works on one, the next is filled. */
const SUBMISSIONS = 2;
/** What one of them reads back, unless a single run has more. */
const MAX_READBACK_BYTES = 64 * 2 ** 20;

/**
 * Chunks, with their networks on the device (spec 3.6). Every step ends with a readback, since symbols are read on the CPU. While the device is busy, runs
 * of whatever chunks and steps gather: the next submission takes them all, and they come back in one buffer.
 */
export class DeviceChunks {
  readonly #model: Model;
  readonly #open: OpenDevice;
  readonly #submitter: Submitter;
  readonly #ring: ReadbackRing;
  readonly #runner: LayerRunner;
  #waiting: WaitingRun[] = [];
  #submissions = 0;

  /** All layers that it needs on the device. */
  static layersOf({ hyperAnalysis, hyperSynthesis, prior }: Model): Layer[] {
    const steps = prior.flatMap(({ trunk, mean, deviation }) => [...trunk, mean, deviation]);
    return [...hyperAnalysis, ...hyperSynthesis, ...steps];
  }

  /** `runner` has the layers. */
  constructor(model: Model, open: OpenDevice, submitter: Submitter, ring: ReadbackRing, runner: LayerRunner) {
    this.#model = model;
    this.#open = open;
    this.#submitter = submitter;
    this.#ring = ring;
    this.#runner = runner;
  }

  /** `check` is called before every network and may throw. */
  decode(bytes: Uint8Array, chunk: Extent, quality: number, check: () => void): Promise<Int16Array> {
    return decodeChunkAsync(bytes, chunk, quality, this.#model, this.#networks(check));
  }

  /** Likewise. */
  encode(analysis: Int16Array, chunk: Extent, quality: number, check: () => void): Promise<EncodedChunk> {
    return encodeChunkAsync(analysis, chunk, quality, this.#model, this.#networks(check));
  }

  #networks(check: () => void): AsyncChunkNetworks {
    const model = this.#model;
    const run = async (
      layers: readonly Layer[],
      data: Int16Array,
      input: Tensor,
      output: Tensor,
      quality: number,
    ): Promise<Int16Array> => {
      check();
      const dispatches = planLayers(layers, input, input.rect, output.rect, quality, output);
      const [result] = await this.#run({ input, data, dispatches, outputs: [output] });
      return result!;
    };
    const { latentChannels, hyperChannels, priorChannels, hyperStride } = model;
    return {
      hyperAnalysis: (y, extent, quality) => {
        const output = whole(scaled(extent, 1 / hyperStride), hyperChannels);
        return run(model.hyperAnalysis, y, whole(extent, latentChannels), output, quality);
      },
      hyperSynthesis: (z, extent, quality) => {
        const output = whole(scaled(extent, hyperStride), priorChannels);
        return run(model.hyperSynthesis, z, whole(extent, hyperChannels), output, quality);
      },
      prior: async (step, h, y, extent, quality) => {
        check();
        const { trunk, mean, deviation } = model.prior[step]!;
        const input = whole(extent, step === 0 ? priorChannels : priorChannels + latentChannels);
        const last = whole(extent, mean.inputs);
        const outputs = [whole(extent, latentChannels), whole(extent, latentChannels)];
        const dispatches = [
          ...planLayers(trunk, input, extent, last.rect, quality, last),
          ...[mean, deviation].flatMap((conv, i) =>
            planLayers([conv], last, extent, last.rect, quality, outputs[i]!),
          ),
        ];
        const data = step === 0 ? h : joinChannels(h, priorChannels, y, latentChannels);
        const results = await this.#run({ input, data, dispatches, outputs });
        return { mean: results[0]!, deviation: results[1]! };
      },
    };
  }

  #run(run: Run): Promise<Int16Array[]> {
    const largest = Math.max(...[run.input, ...run.dispatches.map(({ output }) => output)].map(tensorBytes));
    if (largest > this.#open.maxBindingBytes)
      throw new EngineError(`The graphics device binds only ${this.#open.maxBindingBytes} bytes at once`);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...run, resolve, reject });
      this.#submitMore();
    });
  }

  #submitMore(): void {
    while (this.#waiting.length > 0 && this.#submissions < SUBMISSIONS) {
      this.#submissions++;
      void this.#submit(this.#nextBatch()).finally(() => {
        this.#submissions--;
        this.#submitMore();
      });
    }
  }

  #nextBatch(): WaitingRun[] {
    let bytes = 0;
    const beyond = this.#waiting.findIndex(({ outputs }, i) => {
      bytes += readbackBytes(outputs);
      return i > 0 && bytes > MAX_READBACK_BYTES;
    });
    return this.#waiting.splice(0, beyond < 0 ? this.#waiting.length : beyond);
  }

  async #submit(batch: readonly WaitingRun[]): Promise<void> {
    try {
      const outputs = batch.flatMap((run) => run.outputs);
      const results = await this.#ring.copy(
        readbackBytes(outputs),
        (staging) => this.#submitter.submit((submission) => this.#record(submission, batch, staging)),
        (bytes) => {
          let offset = 0;
          return outputs.map((tensor) => {
            const from = offset;
            offset += tensorBytes(tensor);
            return new Int16Array(bytes.slice(from, offset));
          });
        },
      );
      for (const { outputs, resolve } of batch) resolve(results.splice(0, outputs.length));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  #record(submission: Submission, batch: readonly Run[], staging: GPUBuffer): void {
    let offset = 0;
    for (const { input, data, dispatches, outputs } of batch) {
      const given = new Map([[input, submission.upload(data)]]);
      for (const output of outputs) given.set(output, submission.take(tensorBytes(output)));
      this.#runner.record(submission, dispatches, given);
      for (const output of outputs) {
        const buffer = given.get(output)!;
        submission.encoder.copyBufferToBuffer(buffer, 0, staging, offset, tensorBytes(output));
        offset += tensorBytes(output);
        submission.reuse(buffer);
      }
    }
  }
}

function readbackBytes(outputs: readonly Tensor[]): number {
  return outputs.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
}

function whole({ height, width }: Extent, channels: number): Tensor {
  return { rect: { top: 0, left: 0, height, width }, channels };
}

function scaled({ height, width }: Extent, factor: number): Extent {
  return { height: height * factor, width: width * factor };
}
