import type { Extent, Patch, Rect } from '../../engine.ts';
import type { FreeList, Region, WasmHeap } from '../heap.ts';
import type { PackedLayer } from '../pack/pack-layer.ts';
import { allocateRegion, inputRegionRect, outputRegionRect, planLayers } from '../program/plan.ts';
import type { Job } from '../threads/job.ts';
import { beginProgram } from './program-job.ts';

/** A window of the output of layers, and what they make it of. */
export interface LayersCall {
  readonly layers: readonly PackedLayer[];
  /** Covers what `layerWindows` says that the first layer reads. */
  readonly input: Patch;
  /** Of the tensor that `input` is a window of. */
  readonly extent: Extent;
  readonly window: Rect;
  /** Of the output. */
  readonly channels: number;
  readonly quality: number;
}

/**
 * Runs layers over a window. The output has memory of its own; `take` gets it when the layers have run, and
 * has to free it.
 */
export function layersJob<T>(
  heap: WasmHeap,
  threads: number,
  { layers, input, extent, window, channels, quality }: LayersCall,
  take: (output: Region) => T,
): Job<T> {
  const outputRect = outputRegionRect(layers, window, extent);
  return {
    maxThreads: threads,
    begin(participants) {
      const output = allocateRegion(heap, outputRect, channels);
      const plan = (list: FreeList) => {
        const region = allocateRegion(list, inputRegionRect(layers, window, extent), input.channels);
        return { region, ...planLayers(layers, region, extent, window, quality, list, output) };
      };
      let kept = false;
      const freeOutput = () => {
        if (!kept) heap.free(output.address);
      };
      try {
        const program = beginProgram(heap, participants, plan);
        heap.write(program.plan.region, input, extent);
        return {
          ...program,
          finish() {
            kept = true;
            return take(output);
          },
          release() {
            program.free();
            freeOutput();
          },
        };
      } catch (error) {
        freeOutput();
        throw error;
      }
    },
  };
}
