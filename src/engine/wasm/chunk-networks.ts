import { type ChunkNetworks, groupAt, type PriorOutput } from '../../entropy/chunk.ts';
import type { Model } from '../../network/model.ts';
import type { Extent } from '../engine.ts';
import { HYPER_ANALYSIS, HYPER_SYNTHESIS, type NetworkPlan, PRIOR } from './chunk-plan.ts';
import type { Region } from './heap.ts';
import type { PackedNetworks } from './pack.ts';
import type { Operation } from './program.ts';

/**
 * The networks of one chunk by kernels (spec 3.6). Tensors lie in a scratch range of wasm memory; results are views of it.
 *
 * h, w = rows, columns of latents in the chunk; Cy, Ch = channels of latents and of h.
 */
export class KernelNetworks {
  readonly #memory: WebAssembly.Memory;
  readonly #networks: PackedNetworks;
  readonly #model: Model;

  constructor(memory: WebAssembly.Memory, networks: PackedNetworks, model: Model) {
    this.#memory = memory;
    this.#networks = networks;
    this.#model = model;
  }

  /** `plan`: `planChunkNetwork` for one chunk and place; `run` runs the calls of network `number`, or throws. */
  of(
    plan: (number: number) => NetworkPlan,
    run: (number: number, operations: readonly Operation[]) => void,
  ): ChunkNetworks {
    const { latentChannels, hyperChannels, priorChannels } = this.#model;
    const network = (number: number, data: Int16Array, channels: number, extent: Extent): Int16Array => {
      const { input, outputs, operations } = plan(number);
      this.#write(input, data, extent, channels, 0);
      run(number, operations);
      return this.#view(outputs[0]!);
    };
    return {
      hyperAnalysis: (y, extent) => network(HYPER_ANALYSIS, y, latentChannels, extent),
      hyperSynthesis: (z, extent) => network(HYPER_SYNTHESIS, z, hyperChannels, extent),
      prior: (step, h, y, extent): PriorOutput => {
        const { input, outputs, operations } = plan(PRIOR + step);
        this.#write(input, h, extent, priorChannels, 0);
        if (this.#networks.prior[step]!.first) this.#writeCoded(input, y, extent, step);
        else if (step > 0) this.#write(input, y, extent, latentChannels, priorChannels);
        run(PRIOR + step, operations);
        return { mean: this.#view(outputs[0]!), deviation: this.#view(outputs[1]!) };
      },
    };
  }

  #view({ address, rect, channels }: Region): Int16Array {
    return new Int16Array(this.#memory.buffer, address, rect.height * rect.width * channels);
  }

  /** (extent.height, extent.width, channels) into the channels from `first` on of a region that has zeros around it. */
  #write(region: Region, data: Int16Array, extent: Extent, channels: number, first: number): void {
    const target = this.#view(region);
    const { rect } = region;
    for (let row = 0; row < extent.height; row++) {
      let to = ((row - rect.top) * rect.width - rect.left) * region.channels + first;
      let from = row * extent.width * channels;
      if (channels === region.channels) {
        target.set(data.subarray(from, from + extent.width * channels), to);
        continue;
      }
      for (let column = 0; column < extent.width; column++) {
        target.set(data.subarray(from, from + channels), to);
        from += channels;
        to += region.channels;
      }
    }
  }

  /** Of each position's latents (extent.height, extent.width, Cy) the groups that steps 0 .. step-1 have coded, behind h, first step first. */
  #writeCoded(region: Region, y: Int16Array, extent: Extent, step: number): void {
    const target = this.#view(region);
    const { rect } = region;
    const { latentChannels, priorChannels } = this.#model;
    const group = latentChannels / 4;
    for (let row = 0, from = 0; row < extent.height; row++) {
      let to = ((row - rect.top) * rect.width - rect.left) * region.channels + priorChannels;
      for (let column = 0; column < extent.width; column++) {
        for (let before = 0; before < step; before++) {
          const start = from + groupAt(before, row, column) * group;
          target.set(y.subarray(start, start + group), to + before * group);
        }
        from += latentChannels;
        to += region.channels;
      }
    }
  }
}
