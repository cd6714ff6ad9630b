import type { Extent, Patch, Rect } from '../../engine.ts';
import { FreeList, type Region, type WasmHeap } from '../heap.ts';
import type { PackedLayer } from '../pack/pack-layer.ts';
import { inputRegionRect, outputRegionRect, planLayers, regionByteLength } from '../program/plan.ts';
import { controlWords } from '../program/program.ts';
import type { Job, RunningJob } from '../threads/job.ts';

/** Runs layers over a window. The output has memory of its own; `take` gets it when the layers have run, and has to free it. */
export function layersJob<T>(
  heap: WasmHeap,
  threads: number,
  layers: readonly PackedLayer[],
  input: Patch,
  extent: Extent,
  window: Rect,
  outputChannels: number,
  quality: number,
  take: (output: Region) => T,
): Job<T> {
  const inputRect = inputRegionRect(layers, window, extent);
  const outputRect = outputRegionRect(layers, window, extent);
  const inputBytes = regionByteLength(inputRect, input.channels);
  const outputBytes = regionByteLength(outputRect, outputChannels);
  return {
    maxThreads: threads,
    begin(participants): RunningJob<T> {
      const plan = (inputAddress: number, outputAddress: number, scratch: FreeList) =>
        planLayers(
          layers,
          { address: inputAddress, rect: inputRect, channels: input.channels },
          extent,
          window,
          quality,
          scratch,
          { address: outputAddress, rect: outputRect, channels: outputChannels },
        );
      // Once for its size, and again for its place.
      const size = new FreeList(0);
      const words = controlWords(plan(0, 0, size).operations.length);
      const [inputAddress, outputAddress, scratch, controlAddress] = heap.allocateAll(
        inputBytes,
        outputBytes,
        size.end,
        words * 4,
      ) as [number, number, number, number];
      const region = { address: inputAddress, rect: inputRect, channels: input.channels };
      heap.write(region, input, extent);
      const { operations, output } = plan(inputAddress, outputAddress, new FreeList(scratch));
      let kept = false;
      return {
        message: { kind: 'run', operations, control: controlAddress, threads: participants },
        ...heap.control(controlAddress, words),
        finish: () => {
          kept = true;
          return take(output);
        },
        release() {
          for (const address of [inputAddress, scratch, controlAddress]) heap.free(address);
          if (!kept) heap.free(outputAddress);
        },
      };
    },
  };
}
