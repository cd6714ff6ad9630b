import { NATIVE_CELL } from '../../head/query.ts';
import { ERROR_LIMIT, type GradientNetwork, gradientNetwork } from '../../network/gradient.ts';
import type { Model } from '../../network/model.ts';
import { sitesOf } from '../../network/window.ts';
import { expectGradient } from '../arguments.ts';
import type { Extent, Patch, Rect } from '../engine.ts';
import { FreeList, type Region, type WasmHeap } from './heap.ts';
import { clearBorder, siteAddress, stripRows } from './operations.ts';
import { headByteLength, headShift, writeHead } from './pack-head.ts';
import { type PackedLayer, packLayer } from './pack-layer.ts';
import { barrier, inputRegionRect, planLayers, regionByteLength } from './plan.ts';
import { ABORT, controlWords, type Operation } from './program.ts';
import type { Job } from './thread-pool.ts';

/** The networks that a gradient goes through, there and back. */
interface PackedGradient {
  readonly network: GradientNetwork;
  readonly synthesis: readonly PackedLayer[];
  /** `network.layers`. */
  readonly back: readonly PackedLayer[];
}

const packed = new WeakMap<WasmHeap, PackedGradient>();

/** Few who open an engine optimize: weights in their other order are packed by the first gradient. */
function packGradient(
  heap: WasmHeap,
  network: GradientNetwork,
  synthesis: readonly PackedLayer[],
): PackedGradient {
  let networks = packed.get(heap);
  if (networks === undefined) {
    networks = { network, synthesis, back: network.layers.map((layer) => packLayer(layer, heap)) };
    packed.set(heap, networks);
  }
  return networks;
}

/** What the contract's `gradient` is asked. */
export interface GradientCall {
  readonly coded: Patch;
  readonly level: Extent;
  readonly latents: Rect;
  readonly target: Patch;
  readonly quality: number;
}

/**
 * The decoder and the derivatives are one program: what lies between them stays in wasm memory. Throws RequestError for patches that do not fit together,
 * and what `gradientNetwork` throws.
 */
export function gradientJob(
  heap: WasmHeap,
  model: Model,
  synthesis: readonly PackedLayer[],
  call: GradientCall,
  threads: number,
): Job<Int16Array> {
  const network = gradientNetwork(model);
  expectGradient(model, call.coded, call.level, call.latents, call.target);
  return {
    maxThreads: threads,
    begin(participants) {
      const networks = packGradient(heap, network, synthesis);
      // Once for its size, and again for its place.
      const size = new FreeList(0);
      const words = controlWords(planGradient(size, model, networks, call).operations.length);
      const start = heap.allocate(size.end + 4 * words);
      const control = start + size.end;
      const list = new FreeList(start);
      const { operations, input, output, target, vectors } = planGradient(list, model, networks, call);
      const { buffer } = heap.memory;
      heap.write(input, call.coded, call.level);
      new Int16Array(buffer, target, call.target.data.length).set(call.target.data);
      writeHead(model.head, NATIVE_CELL, NATIVE_CELL, 16, buffer, vectors);
      new Int32Array(buffer, control, words).fill(0);
      return {
        message: { kind: 'run', operations, control, threads: participants },
        abort: () => void Atomics.store(new Int32Array(heap.memory.buffer, control, 1), ABORT, 1),
        finish: () => heap.read(output, output.rect),
        release: () => heap.free(start),
      };
    },
  };
}

interface GradientPlan {
  readonly operations: readonly Operation[];
  readonly input: Region;
  readonly output: Region;
  /** Addresses of the picture's values and of the head's vectors. */
  readonly target: number;
  readonly vectors: number;
}

function planGradient(
  list: FreeList,
  model: Model,
  { network, synthesis, back }: PackedGradient,
  { coded, level, latents, target, quality }: GradientCall,
): GradientPlan {
  const { head } = model;
  const region = (rect: Rect, channels: number): Region => ({
    address: list.allocate(regionByteLength(rect, channels)),
    rect,
    channels,
  });
  const sites = sitesOf(model, latents);
  const input = region(inputRegionRect(synthesis, sites, level), coded.channels);
  const output = region({ ...latents, top: 0, left: 0 }, coded.channels);
  const targetAddress = list.allocate(target.data.byteLength);
  const vectors = list.allocate(headByteLength(head));
  const activations: Region[] = [];
  const keep = (made: Region) => activations.push(made) > 0;
  const there = planLayers(synthesis, input, level, sites, quality, list, undefined, keep);
  const operations = [...there.operations];

  // From here on the window is everything there is, and begins at (0, 0).
  const byP = region(inputRegionRect(back, output.rect, sites), head.hidden);
  const place = {
    ...target.rect,
    top: target.rect.top - sites.top,
    left: target.rect.left - sites.left,
  };
  clearBorder(operations, movedBy(byP, -place.top, -place.left), place);
  barrier(operations);
  const pixel = head.hidden * 2;
  operations.push({
    kernel: 'headGradient',
    args: [
      siteAddress(there.output, target.rect.top, target.rect.left),
      there.output.rect.width * pixel,
      vectors,
      head.hidden,
      headShift(head, 16),
      targetAddress,
      target.rect.width * 6,
      model.imageShift,
      ERROR_LIMIT,
      network.headShift,
      network.headLimit,
      siteAddress(byP, place.top, place.left),
      byP.rect.width * pixel,
      0,
      place.height,
      place.width,
    ],
    fromArgument: 13,
    rows: place.height,
    stripRows: stripRows(place.height),
    barrier: true,
  });
  list.free(there.output.address);
  const scales = residualScales(synthesis);
  let residuals = 0;
  const slope = (made: Region, window: Rect, calls: Operation[]) => {
    const leaky = network.leaky[residuals++];
    const scale = scales.pop()!;
    const inner = movedBy(activations.pop()!, -latents.top * scale, -latents.left * scale);
    if (leaky) calls.push(slopeOperation(made, inner, window));
    return false;
  };
  const backwards = planLayers(back, byP, sites, output.rect, quality, list, output, slope);
  operations.push(...backwards.operations);
  return { operations, input, output, target: targetAddress, vectors };
}

/** `values` times the slope of the activation that made `activations`, over `window`. */
function slopeOperation(values: Region, activations: Region, window: Rect): Operation {
  const pixel = values.channels * 2;
  return {
    kernel: 'slope',
    args: [
      siteAddress(values, window.top, window.left),
      values.rect.width * pixel,
      siteAddress(activations, window.top, window.left),
      activations.rect.width * pixel,
      window.width * pixel,
      0,
      window.height,
    ],
    fromArgument: 5,
    rows: window.height,
    stripRows: stripRows(window.height),
    barrier: true,
  };
}

function movedBy(region: Region, rows: number, columns: number): Region {
  const { rect } = region;
  return { ...region, rect: { ...rect, top: rect.top + rows, left: rect.left + columns } };
}

/** For each residual, the rows that it has for one of the latents. */
function residualScales(layers: readonly PackedLayer[]): number[] {
  let scale = 1;
  return layers.flatMap((layer) => {
    if (layer.op === 'shuffle') scale *= layer.factor;
    return layer.op === 'residual' ? [scale] : [];
  });
}
