import type { BackNetwork } from '../../../network/back-network.ts';
import { throughAll, uniform } from '../../../network/flow.ts';
import { oncePer } from '../../../network/once-per.ts';
import { extentAfter, whole } from '../../../network/window.ts';
import type { Extent } from '../../engine.ts';
import type { FreeList, Region, WasmHeap } from '../heap.ts';
import { type PackedLayer, packLayers } from '../pack/pack-layer.ts';
import { clearBorder, slopeOperation } from '../program/operations.ts';
import { allocateRegion, barrier, channelsAfter, inputRegionRect, planLayers } from '../program/plan.ts';
import type { Operation } from '../program/program.ts';
import type { Job } from '../threads/job.ts';
import { beginProgram } from './program-job.ts';

/** A network forwards, up to its last activation, and backwards. */
interface PackedBack {
  readonly parts: readonly (readonly PackedLayer[])[];
  readonly stages: readonly (readonly PackedLayer[])[];
}

const packed = oncePer((_: WasmHeap) => new Map<BackNetwork, PackedBack>());

/** Packs a network at its first use: few who open an engine need it. */
function packBack(heap: WasmHeap, network: BackNetwork): PackedBack {
  const networks = packed(heap);
  let found = networks.get(network);
  if (found === undefined) {
    let flow = network.input;
    let back = uniform(network.outputs, network.limit);
    found = {
      parts: network.parts.map((part) => {
        const layers = packLayers(part, flow, heap);
        flow = throughAll(part, flow);
        return layers;
      }),
      stages: network.stages.map((stage) => {
        const layers = packLayers(stage, back, heap);
        back = throughAll(stage, back);
        return layers;
      }),
    };
    networks.set(network, found);
  }
  return found;
}

/** The contract's `backpropagate`. The arguments are checked. */
export function backpropagationJob(
  heap: WasmHeap,
  network: BackNetwork,
  input: Int16Array,
  extent: Extent,
  derivatives: Int16Array,
  quality: number,
  threads: number,
): Job<Int16Array> {
  return {
    maxThreads: threads,
    begin(participants) {
      const layers = packBack(heap, network);
      const program = beginProgram(heap, participants, (list) =>
        planBack(list, network, layers, extent, quality),
      );
      const { plan } = program;
      const fill = (region: Region, size: Extent, data: Int16Array) =>
        heap.write(region, { rect: whole(size), channels: region.channels, data }, size);
      fill(plan.input, extent, input);
      fill(plan.derivatives, plan.outputExtent, derivatives);
      return {
        ...program,
        finish: () => heap.read(plan.result, whole(extent)),
        release: () => program.free(),
      };
    },
  };
}

interface BackPlan {
  readonly input: Region;
  readonly derivatives: Region;
  readonly outputExtent: Extent;
  readonly operations: readonly Operation[];
  readonly result: Region;
}

function planBack(
  list: FreeList,
  network: BackNetwork,
  { parts, stages }: PackedBack,
  extent: Extent,
  quality: number,
): BackPlan {
  const operations: Operation[] = [];
  /** A whole tensor, with the border that `layers` read beyond it. */
  const tensor = (channels: number, size: Extent, layers: readonly PackedLayer[] = []): Region => {
    const made = whole(extentAfter(layers, size));
    return allocateRegion(
      list,
      layers.length > 0 ? inputRegionRect(layers, made, size) : whole(size),
      channels,
    );
  };
  /** `layers` over all of `from`; `next` read what they make. */
  const run = (
    layers: readonly PackedLayer[],
    from: Region,
    size: Extent,
    next?: readonly PackedLayer[],
  ): { made: Region; size: Extent } => {
    if (layers.length === 0) return { made: from, size };
    const end = extentAfter(layers, size);
    const made = tensor(channelsAfter(layers, layers.length), end, next);
    clearBorder(operations, made, end);
    barrier(operations);
    operations.push(...planLayers(layers, from, size, whole(end), quality, list, made).operations);
    return { made, size: end };
  };

  const input = tensor(network.input.limits.length, extent, parts[0]);
  const activations: Region[] = [];
  let read = { made: input, size: extent };
  for (const [i, part] of parts.entries()) {
    read = run(part, read.made, read.size, parts[i + 1]);
    activations.push(read.made);
  }

  const outputExtent = extentAfter(network.layers, extent);
  // The first stage may be empty: then the second one reads the derivatives.
  const [first] = stages.filter(({ length }) => length > 0);
  const derivatives = tensor(network.outputs, outputExtent, first);
  let back = { made: derivatives, size: outputExtent };
  for (const [i, stage] of stages.entries()) {
    back = run(stage, back.made, back.size, stages[i + 1]);
    const activation = activations.pop();
    if (activation) operations.push(slopeOperation(back.made, activation, whole(back.size)));
  }
  return { input, derivatives, outputExtent, operations, result: back.made };
}
