import { NATIVE_CELL, nativeAxis } from '../../../head/query.ts';
import { uniform } from '../../../network/flow.ts';
import { ERROR_LIMIT, type GradientNetwork, gradientNetwork } from '../../../network/gradient.ts';
import type { Model } from '../../../network/model.ts';
import { sitesOf } from '../../../network/window.ts';
import { expectGradient } from '../../arguments.ts';
import type { Extent, Patch, Query, Rect } from '../../engine.ts';
import type { FreeList, Region, WasmHeap } from '../heap.ts';
import { HeapFeatures } from '../heap-features.ts';
import { headByteLength, writeHead } from '../pack/pack-head.ts';
import { type PackedLayer, packLayers } from '../pack/pack-layer.ts';
import { clearBorder, operation, rowBytes, siteAddress, slopeOperation } from '../program/operations.ts';
import { allocateRegion, barrier, inputRegionRect, planLayers } from '../program/plan.ts';
import type { Operation } from '../program/program.ts';
import type { Job } from '../threads/job.ts';
import { beginProgram } from './program-job.ts';

/** The networks of a gradient, forwards and backwards. */
interface PackedGradient {
  readonly network: GradientNetwork;
  readonly synthesis: readonly PackedLayer[];
  /** `network.layers`. */
  readonly back: readonly PackedLayer[];
}

const packed = new WeakMap<WasmHeap, PackedGradient>();

/** Packs the networks of gradients at the first gradient: few who open an engine need them. */
function packGradient(
  heap: WasmHeap,
  network: GradientNetwork,
  hidden: number,
  synthesis: readonly PackedLayer[],
): PackedGradient {
  let networks = packed.get(heap);
  if (networks === undefined) {
    networks = {
      network,
      synthesis,
      back: packLayers(network.layers, uniform(hidden, network.headLimit), heap),
    };
    packed.set(heap, networks);
  }
  return networks;
}

/** Arguments of the contract's `gradient`. */
export interface GradientCall {
  readonly coded: Patch;
  readonly level: Extent;
  readonly latents: Rect;
  readonly pixels: Rect;
  readonly quality: number;
}

/** A gradient is two programs. Between them the caller judges the samples. */
export interface GradientJobs {
  /** The decoder up to P. The map owns the memory of both programs. */
  readonly there: Job<HeapFeatures>;
  /** The samples of that map whose errors count. */
  readonly query: Query;
  /**
   * Half the derivative by those samples -> half the derivative by latents. `shown`: the map that `there`
   * made.
   */
  back(shown: HeapFeatures, errors: Int16Array): Job<Int16Array>;
}

/** Throws RequestError for patches that do not fit together, and what `gradientNetwork` throws. */
export function gradientJobs(
  heap: WasmHeap,
  model: Model,
  synthesis: readonly PackedLayer[],
  call: GradientCall,
  threads: number,
): GradientJobs {
  const network = gradientNetwork(model);
  expectGradient(model, call.coded, call.level, call.latents, call.pixels);
  const sites = sitesOf(model, call.latents);
  // Made when the first job begins.
  let plan: GradientPlan;
  return {
    there: {
      maxThreads: threads,
      begin(participants) {
        const networks = packGradient(heap, network, model.head.hidden, synthesis);
        const program = beginProgram(heap, participants, (list) => planGradient(list, model, networks, call));
        plan = program.plan;
        heap.write(plan.input, call.coded, call.level);
        // Pixels on sites read no others, so the window may count as the level.
        const level: Extent = { height: sites.height, width: sites.width };
        const features = new HeapFeatures(heap, plan.shown, plan.shown.rect, level);
        const letGo = features.use();
        let taken = false;
        return {
          ...program,
          finish() {
            taken = true;
            return features;
          },
          release() {
            letGo();
            if (!taken) features.close();
          },
        };
      },
    },
    query: {
      rows: nativeAxis(call.pixels.top - sites.top, call.pixels.height),
      columns: nativeAxis(call.pixels.left - sites.left, call.pixels.width),
      depth: 16,
    },
    back: (shown, errors) => ({
      maxThreads: threads,
      begin(participants) {
        const program = beginProgram(heap, participants, () => ({ operations: plan.back }));
        const letGo = shown.use();
        const { buffer } = heap.memory;
        new Int16Array(buffer, plan.errors, errors.length).set(errors);
        writeHead(model.head, NATIVE_CELL, NATIVE_CELL, 16, buffer, plan.vectors);
        return {
          ...program,
          finish: () => heap.read(plan.output, plan.output.rect),
          release() {
            program.free();
            letGo();
          },
        };
      },
    }),
  };
}

interface GradientPlan {
  /** P. It lies first in the memory of both programs, so freeing its address frees all. */
  readonly shown: Region;
  readonly input: Region;
  /** Of the decoder up to P. */
  readonly operations: readonly Operation[];
  /** Addresses of the samples' errors and of the head's vectors. */
  readonly errors: number;
  readonly vectors: number;
  readonly back: readonly Operation[];
  readonly output: Region;
}

/**
 * Plans both programs. On the way back the window counts as the whole tensor, and P and all that follows
 * begin at (0, 0).
 */
function planGradient(
  list: FreeList,
  model: Model,
  { network, synthesis, back }: PackedGradient,
  { coded, level, latents, pixels, quality }: GradientCall,
): GradientPlan {
  const { head } = model;
  const sites = sitesOf(model, latents);
  const p = allocateRegion(list, sites, head.hidden);
  const input = allocateRegion(list, inputRegionRect(synthesis, sites, level), coded.channels);
  const activations: Region[] = [];
  const keep = (made: Region) => activations.push(made) > 0;
  const there = planLayers(synthesis, input, level, sites, quality, list, p, keep);
  const shown = movedBy(p, -sites.top, -sites.left);

  const operations: Operation[] = [];
  const output = allocateRegion(list, { ...latents, top: 0, left: 0 }, coded.channels);
  const errors = list.allocate(pixels.height * pixels.width * 6);
  const vectors = list.allocate(headByteLength(head));
  const byP = allocateRegion(list, inputRegionRect(back, output.rect, sites), head.hidden);
  const place = { ...pixels, top: pixels.top - sites.top, left: pixels.left - sites.left };
  clearBorder(operations, movedBy(byP, -place.top, -place.left), place);
  barrier(operations);
  operations.push(
    operation('headGradient', place.height, [
      siteAddress(shown, place.top, place.left),
      rowBytes(shown),
      vectors,
      head.hidden,
      errors,
      place.width * 6,
      ERROR_LIMIT,
      network.headShift,
      network.headLimit,
      siteAddress(byP, place.top, place.left),
      rowBytes(byP),
      place.width,
    ]),
  );
  // Nothing reads P any more.
  list.free(p.address);
  const scales = residualScales(synthesis);
  const slope = (made: Region, window: Rect, calls: Operation[]) => {
    const scale = scales.pop()!;
    const inner = movedBy(activations.pop()!, -latents.top * scale, -latents.left * scale);
    calls.push(slopeOperation(made, inner, window));
    return false;
  };
  const backwards = planLayers(back, byP, sites, output.rect, quality, list, output, slope);
  operations.push(...backwards.operations);
  return { shown, input, operations: there.operations, errors, vectors, back: operations, output };
}

function movedBy(region: Region, rows: number, columns: number): Region {
  const { rect } = region;
  return { ...region, rect: { ...rect, top: rect.top + rows, left: rect.left + columns } };
}

/** For each residual, how many rows of its tensor belong to one row of latents. */
function residualScales(layers: readonly PackedLayer[]): number[] {
  let scale = 1;
  return layers.flatMap((layer) => {
    if (layer.op === 'shuffle') scale *= layer.factor;
    return layer.op === 'residual' ? [scale] : [];
  });
}
