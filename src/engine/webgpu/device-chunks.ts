import { type AsyncChunkNetworks, decodeChunk, encodeChunkAsync } from '../../entropy/chunk.ts';
import { EngineError } from '../../errors.ts';
import type { Layer, Model } from '../../network/model.ts';
import { joinChannels, scaledExtent, whole } from '../../network/window.ts';
import { expectEncoder } from '../arguments.ts';
import type { EncodedChunk, Extent } from '../engine.ts';
import { Gathering } from './gathering.ts';
import { type LayerRun, type RunLimits, takeAlike } from './layer-run.ts';
import { type LayerRunner, layOut, type Place } from './layer-runner.ts';
import { bytesOf, planLayers, type Tensor, tensorBytes } from './plan.ts';
import type { ReadbackRing } from './readback.ts';
import type { Submission, Submitter } from './submission.ts';

/** A network that a chunk waits for. */
interface WaitingRun extends LayerRun {
  readonly resolve: (outputs: Int16Array[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** Most bytes that a submission reads back, unless a single run has more. */
const MAX_READBACK_BYTES = 64 * 2 ** 20;

/**
 * Codes chunks with their networks on the device (spec 3.6). Every network ends with a readback, since
 * symbols are coded on the processor. Networks of different chunks gather while the device is busy: a
 * submission runs all that wait, those of the same step as one, and all come back in one buffer.
 */
export class DeviceChunks {
  readonly #model: Model;
  readonly #submitter: Submitter;
  readonly #ring: ReadbackRing;
  readonly #runner: LayerRunner;
  readonly #limits: RunLimits;
  readonly #waiting = new Gathering<WaitingRun>(takeBatch, (batch) => this.#submit(batch));

  /** All layers that have to be on the device. */
  static layersOf({ hyperAnalysis, hyperSynthesis, prior }: Model): Layer[] {
    const steps = prior.flatMap(({ trunk, mean, deviation }) => [...trunk, mean, deviation]);
    return [...hyperAnalysis, ...hyperSynthesis, ...steps];
  }

  /** `runner` has the tensors of `layersOf(model)`. */
  constructor(
    model: Model,
    submitter: Submitter,
    ring: ReadbackRing,
    runner: LayerRunner,
    limits: RunLimits,
  ) {
    this.#model = model;
    this.#submitter = submitter;
    this.#ring = ring;
    this.#runner = runner;
    this.#limits = limits;
  }

  /** Decodes a chunk. `check` is called before every network and may throw, which rejects the call. */
  decode(bytes: Uint8Array, chunk: Extent, quality: number, check: () => void): Promise<Int16Array> {
    return decodeChunk(bytes, chunk, quality, this.#model, this.#networks(check));
  }

  /** Encodes a chunk. `check` as for `decode`. */
  async encode(
    analysis: Int16Array,
    chunk: Extent,
    quality: number,
    hyper: Int16Array | undefined,
    check: () => void,
  ): Promise<EncodedChunk> {
    expectEncoder(this.#model);
    return encodeChunkAsync(analysis, chunk, quality, this.#model, this.#networks(check), hyper);
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
        const output = wholeTensor(scaledExtent(extent, 1 / hyperStride), hyperChannels);
        return run(model.hyperAnalysis, y, wholeTensor(extent, latentChannels), output, quality);
      },
      hyperSynthesis: (z, extent, quality) => {
        const output = wholeTensor(scaledExtent(extent, hyperStride), priorChannels);
        return run(model.hyperSynthesis, z, wholeTensor(extent, hyperChannels), output, quality);
      },
      prior: async (step, h, y, extent, quality) => {
        check();
        const { trunk, mean, deviation } = model.prior[step]!;
        const input = wholeTensor(extent, step === 0 ? priorChannels : priorChannels + latentChannels);
        const last = wholeTensor(extent, mean.inputs);
        const outputs = [wholeTensor(extent, latentChannels), wholeTensor(extent, latentChannels)];
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

  #run(run: LayerRun): Promise<Int16Array[]> {
    const largest = Math.max(...[run.input, ...run.dispatches.map(({ output }) => output)].map(tensorBytes));
    if (largest > this.#limits.binding)
      throw new EngineError(`The graphics device binds only ${this.#limits.binding} bytes at once`);
    return new Promise((resolve, reject) => this.#waiting.add({ ...run, resolve, reject }));
  }

  async #submit(batch: WaitingRun[]): Promise<void> {
    const groups: WaitingRun[][] = [];
    for (const left = [...batch]; left.length > 0; ) groups.push(takeAlike(left, this.#limits));
    try {
      const results = await this.#ring.copy(
        bytesOf(batch.flatMap(({ outputs }) => outputs)),
        (staging) => this.#submitter.submit((submission) => this.#record(submission, groups, staging)),
        (bytes) => readOutputs(groups, bytes),
      );
      for (const { outputs, resolve } of batch) resolve(outputs.map((tensor) => results.get(tensor)!));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  #record(submission: Submission, groups: readonly LayerRun[][], staging: GPUBuffer): void {
    let offset = 0;
    for (const runs of groups) {
      const places = outputsOf(runs).map((tensors) => layOut(tensors, (size) => submission.take(size)));
      this.#runner.record(submission, runs, new Map(places.flat()));
      for (const [[, { buffer, size }]] of places as [[Tensor, Place]][]) {
        submission.encoder.copyBufferToBuffer(buffer, 0, staging, offset, size);
        submission.reuse(buffer);
        offset += size;
      }
    }
  }
}

/** The first outputs of all these runs, then the second ones. Each list lies in one buffer. */
function outputsOf(runs: readonly LayerRun[]): Tensor[][] {
  return runs[0]!.outputs.map((_, i) => runs.map(({ outputs }) => outputs[i]!));
}

/** Splits the readback into outputs, in the order in which they were recorded. */
function readOutputs(groups: readonly LayerRun[][], bytes: ArrayBuffer): Map<Tensor, Int16Array> {
  const results = new Map<Tensor, Int16Array>();
  let offset = 0;
  for (const tensor of groups.flatMap(outputsOf).flat()) {
    const from = offset;
    offset += tensorBytes(tensor);
    results.set(tensor, new Int16Array(bytes.slice(from, offset)));
  }
  return results;
}

function takeBatch(waiting: WaitingRun[]): WaitingRun[] {
  let bytes = 0;
  const beyond = waiting.findIndex(({ outputs }, i) => {
    bytes += bytesOf(outputs);
    return i > 0 && bytes > MAX_READBACK_BYTES;
  });
  return waiting.splice(0, beyond < 0 ? waiting.length : beyond);
}

function wholeTensor(extent: Extent, channels: number): Tensor {
  return { rect: whole(extent), channels };
}
