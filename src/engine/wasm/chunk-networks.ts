import type { ChunkNetworks, PriorOutput } from '../../entropy/chunk.ts';
import { groupAt } from '../../entropy/chunk.ts';
import { hyperExtent } from '../../network/chunk-size.ts';
import type { Model } from '../../network/model.ts';
import type { Extent, Rect } from '../engine.ts';
import { FreeList } from './heap.ts';
import { clearBorder, parityOperation, type Region } from './operations.ts';
import type { PackedConv, PackedLayer, PackedNetworks } from './pack.ts';
import { codedChannels } from './pack-prior.ts';
import { growAll, inputRegionRect, planLayers, regionByteLength } from './plan.ts';
import { type Kernels, type Operation, runAlone } from './program.ts';

/**
 * The networks of one chunk on the kernels of one thread (spec 3.6). Tensors lie in a scratch range of wasm memory; results are views of it.
 *
 * h, w = rows, columns of latents in the chunk; Cy, Ch = channels of latents and of h.
 */
export class KernelNetworks {
  readonly #kernels: Kernels;
  readonly #memory: WebAssembly.Memory;
  readonly #networks: PackedNetworks;
  readonly #model: Model;

  constructor(kernels: Kernels, memory: WebAssembly.Memory, networks: PackedNetworks, model: Model) {
    this.#kernels = kernels;
    this.#memory = memory;
    this.#networks = networks;
    this.#model = model;
  }

  /** `scratch`: address of `chunkScratchBytes`. `check` is called before every network and may throw. */
  at(scratch: number, check: () => void): ChunkNetworks {
    const { hyperStride, latentChannels, hyperChannels, priorChannels } = this.#model;
    const { hyperAnalysis, hyperSynthesis } = this.#networks;
    const run = (
      layers: readonly PackedLayer[],
      data: Int16Array,
      channels: number,
      extent: Extent,
      output: Extent,
      quality: number,
    ): Int16Array => {
      check();
      const planned = planNetwork(layers, channels, extent, output, quality, scratch);
      this.#write(planned.input, data, extent, channels, 0);
      runAlone(this.#kernels, planned.operations);
      return this.#view(planned.output);
    };
    return {
      hyperAnalysis: (y, extent, quality) =>
        run(hyperAnalysis, y, latentChannels, extent, scaled(extent, 1 / hyperStride), quality),
      hyperSynthesis: (z, extent, quality) =>
        run(hyperSynthesis, z, hyperChannels, extent, scaled(extent, hyperStride), quality),
      prior: (step, h, y, extent, quality): PriorOutput => {
        check();
        const planned = planPrior(this.#networks, this.#model, step, extent, quality, scratch);
        this.#write(planned.input, h, extent, priorChannels, 0);
        if (this.#networks.prior[step]!.first) this.#writeCoded(planned.input, y, extent, step);
        else if (step > 0) this.#write(planned.input, y, extent, latentChannels, priorChannels);
        runAlone(this.#kernels, planned.operations);
        return { mean: this.#view(planned.mean), deviation: this.#view(planned.deviation) };
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

/** How much scratch a chunk needs, with room for encoding. */
export function chunkScratchBytes(networks: PackedNetworks, model: Model, chunk: Extent): number {
  const { hyperStride, latentChannels, hyperChannels } = model;
  const hyper = hyperExtent(model, chunk);
  const padded = scaled(hyper, hyperStride);
  const ends = [
    // A model for decoding alone has none.
    networks.hyperAnalysis.length > 0
      ? planNetwork(networks.hyperAnalysis, latentChannels, padded, hyper, 1, 0).end
      : 0,
    planNetwork(networks.hyperSynthesis, hyperChannels, hyper, padded, 1, 0).end,
    ...networks.prior.map((_, step) => planPrior(networks, model, step, chunk, 1, 0).end),
  ];
  return Math.max(...ends);
}

interface NetworkPlan {
  readonly input: Region;
  readonly operations: Operation[];
  /** One beyond the last address used. */
  readonly end: number;
}

function planNetwork(
  layers: readonly PackedLayer[],
  channels: number,
  extent: Extent,
  output: Extent,
  quality: number,
  scratch: number,
): NetworkPlan & { readonly output: Region } {
  const list = new FreeList(scratch);
  const input = place(list, inputRegionRect(layers, whole(output), extent), channels);
  const operations: Operation[] = [];
  clearBorder(operations, input, extent);
  const plan = planLayers(layers, input, extent, whole(output), quality, list);
  operations.push(...plan.operations);
  return { input, operations, output: plan.output, end: list.end };
}

function planPrior(
  networks: PackedNetworks,
  model: Model,
  step: number,
  chunk: Extent,
  quality: number,
  scratch: number,
): NetworkPlan & { readonly mean: Region; readonly deviation: Region } {
  const { priorChannels, latentChannels, prior } = model;
  const { first, trunk, mean, deviation } = networks.prior[step]!;
  const channels = step === 0 ? priorChannels : priorChannels + latentChannels;
  const { input, operations, output, end } = first
    ? planCodedTrunk(first, trunk, codedChannels(model, step), chunk, quality, scratch)
    : planNetwork(trunk, channels, chunk, chunk, quality, scratch);
  const list = new FreeList(end);
  const rect = whole(chunk);
  const heads = [mean, deviation].map((conv) => {
    const region = place(list, rect, latentChannels);
    operations.push(...groupOperations(conv, output, region, step, prior.length, quality));
    return region;
  });
  return { input, operations, mean: heads[0]!, deviation: heads[1]!, end: list.end };
}

/** A trunk whose input holds no channels that are known to be zero. */
function planCodedTrunk(
  first: readonly PackedConv[],
  others: readonly PackedLayer[],
  channels: number,
  chunk: Extent,
  quality: number,
  scratch: number,
): NetworkPlan & { readonly output: Region } {
  const list = new FreeList(scratch);
  const window = whole(chunk);
  const margin = (first[0]!.kernel - 1) / 2;
  const input = place(list, growAll(window, margin), channels);
  const rect = others.length > 0 ? inputRegionRect(others, window, chunk) : window;
  const middle = place(list, rect, first[0]!.outputs);
  const operations: Operation[] = [];
  clearBorder(operations, input, chunk);
  clearBorder(operations, middle, chunk);
  for (const [parity, conv] of first.entries()) {
    const at = { row: parity >> 1, column: parity & 1 };
    const operation = parityOperation(conv, input, middle, window, at, quality);
    if (operation) operations.push(operation);
  }
  if (others.length === 0) return { input, operations, output: middle, end: list.end };
  const plan = planLayers(others, middle, chunk, window, quality, list);
  operations.push(...plan.operations);
  return { input, operations, output: plan.output, end: list.end };
}

/** A 1x1 convolution, of which each position gets the channels that the step codes there. */
function groupOperations(
  conv: PackedConv,
  input: Region,
  output: Region,
  step: number,
  groups: number,
  quality: number,
): Operation[] {
  const operations: Operation[] = [];
  for (let row = 0; row < 2; row++) {
    for (let column = 0; column < 2; column++) {
      const group = groupAt(step, row, column);
      const operation = parityOperation(
        conv,
        input,
        output,
        output.rect,
        { row, column },
        quality,
        group,
        groups,
      );
      if (operation) operations.push(operation);
    }
  }
  return operations;
}

function place(list: FreeList, rect: Rect, channels: number): Region {
  return { address: list.allocate(regionByteLength(rect, channels)), rect, channels };
}

const whole = ({ height, width }: Extent): Rect => ({ top: 0, left: 0, height, width });
const scaled = ({ height, width }: Extent, factor: number): Extent => ({
  height: height * factor,
  width: width * factor,
});
