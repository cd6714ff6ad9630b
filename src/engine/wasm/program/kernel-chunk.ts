import { type ChunkNetworks, codeHyper, type PriorOutput } from '../../../entropy/chunk.ts';
import {
  endsEarly,
  expectEnd,
  initialStates,
  MIN_CHUNK_BYTES,
  READ_AHEAD_BYTES,
} from '../../../entropy/rans.ts';
import { hyperExtent, symbolCount } from '../../../network/chunk-size.ts';
import type { Model } from '../../../network/model.ts';
import type { Extent } from '../../engine.ts';
import type { Region } from '../heap.ts';
import type { PackedSymbols } from '../pack/pack-symbols.ts';
import {
  type ChunkPlaces,
  HYPER_ANALYSIS,
  HYPER_SYNTHESIS,
  type NetworkPlan,
  PRIOR,
  STREAM_BYTES,
} from './chunk-plan.ts';
import type { Kernels, Operation } from './program.ts';

/** A chunk, and where and how its networks run. */
export interface ChunkPlace {
  readonly chunk: Extent;
  readonly quality: number;
  readonly places: ChunkPlaces;
  plan(number: number): NetworkPlan;
  /** Runs the calls of network `number`, or throws. */
  run(number: number, operations: readonly Operation[]): void;
}

/**
 * One chunk by kernels (spec 2.2, 3.6): its networks, and, when it is decoded, its symbols. Tensors lie in
 * wasm memory; the results of networks are views of it, valid until the next network runs.
 */
export class KernelChunk implements ChunkNetworks {
  readonly #memory: WebAssembly.Memory;
  readonly #model: Model;
  readonly #place: ChunkPlace;

  constructor(memory: WebAssembly.Memory, model: Model, place: ChunkPlace) {
    this.#memory = memory;
    this.#model = model;
    this.#place = place;
  }

  hyperAnalysis(y: Int16Array, extent: Extent): Int16Array {
    return this.#hyper(HYPER_ANALYSIS, y, extent);
  }

  hyperSynthesis(z: Int16Array, extent: Extent): Int16Array {
    return this.#hyper(HYPER_SYNTHESIS, z, extent);
  }

  /** h is not copied: it is still where `hyperSynthesis` has left it. */
  prior(step: number, _h: Int16Array, y: Int16Array): PriorOutput {
    this.#view(this.#place.places.y).set(y);
    const [mean, deviation] = this.#runPrior(step);
    return { mean: this.#view(mean!), deviation: this.#view(deviation!) };
  }

  /**
   * The same as `decodeChunk` of entropy/chunk.ts. `words`: address of memory for the chunk's bytes and
   * READ_AHEAD_BYTES more.
   */
  decode(
    bytes: Uint8Array,
    kernels: Kernels,
    { tables, deviationOffset, step: steps }: PackedSymbols,
    words: number,
  ): Int16Array {
    const model = this.#model;
    const { latentChannels, latent } = model;
    const { chunk, quality, places } = this.#place;
    const { buffer } = this.#memory;
    const { length } = bytes;
    const stream = new Int32Array(buffer, places.stream, STREAM_BYTES / 4);
    const states = initialStates(bytes, symbolCount(model, chunk));
    stream.set([...states, words + MIN_CHUNK_BYTES, words + length]);
    new Uint8Array(buffer, words, length).set(bytes);
    new Uint8Array(buffer, words + length, READ_AHEAD_BYTES).fill(0);

    const hyper = hyperExtent(model, chunk);
    const z = codeHyper(hyper, quality, model, {
      codeHyper: ({ indices, symbols }) => {
        const count = symbols.length;
        new Uint8Array(buffer, places.symbols, count).set(indices);
        const to = places.symbols + count;
        if (!kernels.decodeSymbols(places.stream, tables, places.symbols, to, count)) throw endsEarly(length);
        symbols.set(new Int16Array(buffer, to, count));
      },
    });
    this.hyperSynthesis(z, hyper);

    const y = this.#view(places.y).fill(0);
    const row = (quality - 1) * latentChannels * 4;
    for (let step = 0; step < model.prior.length; step++) {
      const [mean, deviation] = this.#runPrior(step);
      const decoded = kernels.decodeLatents(
        places.stream,
        tables,
        mean!.address,
        deviation!.address,
        places.y.address,
        chunk.height,
        chunk.width,
        latentChannels,
        step,
        deviationOffset + row,
        latent.deviationShift,
        model.tables.count - 1,
        steps + row,
        latent.stepBits,
        latent.limit,
        places.symbols,
      );
      if (!decoded) throw endsEarly(length);
    }
    expectEnd((stream[4]! - words) >>> 0, length, stream.subarray(0, 4));
    return Int16Array.from(y);
  }

  #hyper(number: number, data: Int16Array, extent: Extent): Int16Array {
    const { plan, run } = this.#place;
    const { input, outputs, operations } = plan(number);
    this.#write(input, data, extent);
    run(number, operations);
    return this.#view(outputs[0]!);
  }

  #runPrior(step: number): readonly Region[] {
    const { plan, run } = this.#place;
    const { outputs, operations } = plan(PRIOR + step);
    run(PRIOR + step, operations);
    return outputs;
  }

  #view({ address, rect, channels }: Region): Int16Array {
    return new Int16Array(this.#memory.buffer, address, rect.height * rect.width * channels);
  }

  /**
   * Writes a tensor (extent.height, extent.width, channels) into a region, which has a border of zeros around
   * it.
   */
  #write(region: Region, data: Int16Array, extent: Extent): void {
    const target = this.#view(region);
    const { rect, channels } = region;
    const length = extent.width * channels;
    for (let row = 0; row < extent.height; row++)
      target.set(
        data.subarray(row * length, (row + 1) * length),
        ((row - rect.top) * rect.width - rect.left) * channels,
      );
  }
}
