import { groupAt } from '../../../network/channel-groups.ts';
import { hyperExtent } from '../../../network/chunk-size.ts';
import type { Model } from '../../../network/model.ts';
import { scaledExtent, whole } from '../../../network/window.ts';
import type { Extent } from '../../engine.ts';
import { FreeList, type Region } from '../heap.ts';
import type { PackedNetworks } from '../pack/pack.ts';
import type { PackedLayer } from '../pack/pack-layer.ts';
import { codedChannels } from '../pack/pack-prior.ts';
import { clearBorder, gatherOperation, pushParityConv } from './operations.ts';
import { allocateRegion, barrier, growAll, inputRegionRect, planLayers } from './plan.ts';
import type { Operation } from './program.ts';

/** Numbers of a chunk's networks, in the order in which they run; prior step t is PRIOR + t. */
export const HYPER_ANALYSIS = 0;
export const HYPER_SYNTHESIS = 1;
export const PRIOR = 2;

/** Addresses of what a chunk keeps from one network to the next, at the beginning of its memory. */
export interface ChunkPlaces {
  /** Output of hyperSynthesis: (4*hz, 4*wz, Ch). */
  readonly h: Region;
  /** Latents so far: (h, w, Cy). */
  readonly y: Region;
  /** `stream` and `scratch` of the kernels that decode symbols (kernels/chunk.ts). */
  readonly stream: number;
  readonly symbols: number;
  /** One beyond the last address used. */
  readonly end: number;
}

/** Bytes of a stream's states and addresses. */
export const STREAM_BYTES = 24;

export function chunkPlaces(model: Model, chunk: Extent, scratch: number): ChunkPlaces {
  const { latentChannels, hyperChannels, priorChannels, hyperStride } = model;
  const hyper = hyperExtent(model, chunk);
  const list = new FreeList(scratch);
  const run = Math.max((chunk.width * latentChannels) / 4, hyper.width * hyperChannels);
  const h = allocateRegion(list, whole(scaledExtent(hyper, hyperStride)), priorChannels);
  const y = allocateRegion(list, whole(chunk), latentChannels);
  return { h, y, stream: list.allocate(STREAM_BYTES), symbols: list.allocate(3 * run), end: list.end };
}

/** A network's kernel calls. Every thread that plans them gets the same. */
export interface NetworkPlan {
  /** Filled before the network runs. A prior step has a kernel call that gathers it from `ChunkPlaces`. */
  readonly input: Region;
  /** The result; for a prior step mean and deviation. */
  readonly outputs: readonly Region[];
  readonly operations: Operation[];
  /** One beyond the last address used. */
  readonly end: number;
}

export function networkCount(networks: PackedNetworks): number {
  return PRIOR + networks.prior.length;
}

/** Plans network `number` of a chunk, in memory from the end of its `chunkPlaces` on. */
export function planChunkNetwork(
  networks: PackedNetworks,
  model: Model,
  number: number,
  chunk: Extent,
  quality: number,
  places: ChunkPlaces,
): NetworkPlan {
  if (number >= PRIOR) return planPrior(networks, model, number - PRIOR, chunk, quality, places);
  const hyper = hyperExtent(model, chunk);
  const padded = scaledExtent(hyper, model.hyperStride);
  return number === HYPER_ANALYSIS
    ? planNetwork(networks.hyperAnalysis, model.latentChannels, padded, hyper, quality, places.end)
    : planNetwork(networks.hyperSynthesis, model.hyperChannels, hyper, padded, quality, places.end, places.h);
}

export interface ChunkNeeds {
  readonly scratchBytes: number;
  /** Most kernel calls of one network. */
  readonly operations: number;
}

/**
 * The most that any network of a chunk needs; the hyper analysis of encoders counts, if the model has one.
 */
export function chunkNeeds(networks: PackedNetworks, model: Model, chunk: Extent): ChunkNeeds {
  const needs = { scratchBytes: 0, operations: 0 };
  const places = chunkPlaces(model, chunk, 0);
  // A model for decoding alone has no hyper analysis.
  const first = networks.hyperAnalysis.length > 0 ? HYPER_ANALYSIS : HYPER_SYNTHESIS;
  for (let number = first; number < networkCount(networks); number++) {
    const { end, operations } = planChunkNetwork(networks, model, number, chunk, 1, places);
    needs.scratchBytes = Math.max(needs.scratchBytes, end);
    needs.operations = Math.max(needs.operations, operations.length);
  }
  return needs;
}

function planNetwork(
  layers: readonly PackedLayer[],
  channels: number,
  extent: Extent,
  output: Extent,
  quality: number,
  scratch: number,
  outputRegion?: Region,
): NetworkPlan {
  const list = new FreeList(scratch);
  const input = allocateRegion(list, inputRegionRect(layers, whole(output), extent), channels);
  const operations: Operation[] = [];
  clearBorder(operations, input, extent);
  barrier(operations);
  const plan = planLayers(layers, input, extent, whole(output), quality, list, outputRegion);
  operations.push(...plan.operations);
  return { input, operations, outputs: [plan.output], end: list.end };
}

/**
 * Plans a prior step. If the trunk begins with a convolution, the channels of its input that are known to be
 * zero are left out (pack-prior.ts).
 */
function planPrior(
  networks: PackedNetworks,
  model: Model,
  step: number,
  chunk: Extent,
  quality: number,
  { h, y, end }: ChunkPlaces,
): NetworkPlan {
  const { priorChannels, latentChannels, prior } = model;
  const { first, trunk, mean, deviation } = networks.prior[step]!;
  const list = new FreeList(end);
  const window = whole(chunk);
  const others = trunk.length > 0 ? inputRegionRect(trunk, window, chunk) : window;
  const rect = first ? growAll(window, (first[0]!.kernel - 1) / 2) : others;
  const allOfY = !first && step > 0;
  const input = allocateRegion(
    list,
    rect,
    allOfY ? priorChannels + latentChannels : codedChannels(model, step),
  );
  const operations: Operation[] = [];
  clearBorder(operations, input, chunk);
  operations.push(gatherOperation(h, y, allOfY ? 'all' : step, input, window));
  let output = input;
  if (first) {
    output = allocateRegion(list, others, first[0]!.outputs);
    clearBorder(operations, output, chunk);
    barrier(operations);
    for (const [parity, conv] of first.entries()) {
      const at = { row: parity >> 1, column: parity & 1 };
      pushParityConv(operations, conv, input, output, window, at, quality);
    }
  }
  barrier(operations);
  if (trunk.length > 0) {
    const plan = planLayers(trunk, output, chunk, window, quality, list);
    operations.push(...plan.operations);
    output = plan.output;
  }
  const outputs = [mean, deviation].map((conv) => {
    const region = allocateRegion(list, window, latentChannels);
    // Each position gets only the group of channels that the step codes there.
    for (let parity = 0; parity < 4; parity++) {
      const at = { row: parity >> 1, column: parity & 1 };
      const group = groupAt(step, at.row, at.column);
      pushParityConv(operations, conv, output, region, window, at, quality, group, prior.length);
    }
    return region;
  });
  barrier(operations);
  return { input, operations, outputs, end: list.end };
}
