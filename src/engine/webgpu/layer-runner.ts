import { type LayerRun, MOST_WINDOWS } from './layer-run.ts';
import type { DeviceNetwork } from './pack.ts';
import { bytesOf, type Dispatch, type Tensor, tensorBytes } from './plan.ts';
import type { Kernel } from './shaders.ts';
import type { Submission } from './submission.ts';

/**
 * The place of a tensor: from word `base` of a buffer on. Kernels bind the first `size` bytes of the buffer.
 */
export interface Place {
  readonly buffer: GPUBuffer;
  readonly size: number;
  readonly base: number;
}

/** A kernel's work on one window. */
interface Window extends Omit<Dispatch, 'input' | 'residual' | 'output'> {
  readonly input: Place;
  readonly residual: Place | undefined;
  readonly output: Place;
}

/** Words of `struct Layer` (layer.wgsl). */
const LAYER_WORDS = 28;
/** Bytes of these that a kernel binds, a multiple of 256, as bindings have to begin at. */
const LAYERS_BYTES = MOST_WINDOWS * LAYER_WORDS * 4;

/** Records runs of layers, and gives them memory for the tensors between layers. */
export class LayerRunner {
  readonly #device: GPUDevice;
  readonly #pipelines: ReadonlyMap<Kernel, GPUComputePipeline>;
  readonly #network: DeviceNetwork;

  constructor(device: GPUDevice, pipelines: ReadonlyMap<Kernel, GPUComputePipeline>, network: DeviceNetwork) {
    this.#device = device;
    this.#pipelines = pipelines;
    this.#network = network;
  }

  /**
   * Records runs that can be made together (`takeAlike`). A dispatch makes the windows of all runs, since a
   * single window leaves most of a graphics card idle. `outputs`: the places of their outputs; outputs in
   * different buffers take a dispatch each.
   */
  record(submission: Submission, runs: readonly LayerRun[], outputs: ReadonlyMap<Tensor, Place>): void {
    const steps = placeTensors(submission, runs, outputs);
    const uniforms = submission.upload(parametersOf(steps));
    const pass = submission.encoder.beginComputePass();
    steps.forEach((windows, i) => {
      const { kernel, layer, input, residual, output } = windows[0]!;
      const entries: GPUBindGroupEntry[] = [
        { binding: 0, resource: { buffer: uniforms, offset: i * LAYERS_BYTES, size: LAYERS_BYTES } },
        { binding: 1, resource: bound(input) },
        { binding: 5, resource: bound(output) },
      ];
      const tensors = layer && this.#network.get(layer);
      if (tensors) entries.push({ binding: 3, resource: { buffer: tensors.bias } });
      if (tensors?.weights) {
        entries.push({ binding: 2, resource: { buffer: tensors.weights } });
        // Where nothing is added, some buffer has to be bound all the same.
        entries.push({ binding: 4, resource: residual ? bound(residual) : { buffer: tensors.bias } });
      }
      const pipeline = tensors?.pipeline ?? this.#pipelines.get(kernel)!;
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, this.#device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
      const most = (axis: 0 | 1) => Math.max(...windows.map(({ workgroups }) => workgroups[axis]));
      pass.dispatchWorkgroups(most(0), most(1), windows.length * windows[0]!.workgroups[2]);
    });
    pass.end();
  }
}

function bound({ buffer, size }: Place): GPUBufferBinding {
  return { buffer, size };
}

/** Places these tensors one after the other in one buffer. */
export function layOut(
  tensors: readonly Tensor[],
  take: (byteLength: number) => GPUBuffer,
): [Tensor, Place][] {
  const size = bytesOf(tensors);
  const buffer = take(size);
  let base = 0;
  return tensors.map((tensor) => {
    const place = { buffer, size, base };
    base += tensorBytes(tensor) / 4;
    return [tensor, place];
  });
}

/**
 * The windows of each dispatch, in order. Gives all tensors places; a tensor's memory goes back to the
 * submission after its last use.
 */
function placeTensors(
  submission: Submission,
  runs: readonly LayerRun[],
  outputs: ReadonlyMap<Tensor, Place>,
): Window[][] {
  const inputs = layOut(
    runs.map(({ input }) => input),
    () => submission.upload(...runs.map(({ data }) => data)),
  );
  const given = new Map([...inputs, ...outputs]);
  const places = new Map(given);
  // Runs that are made together use their tensors at the same steps.
  const { dispatches } = runs[0]!;
  const lastUse = new Map<Tensor, number>();
  dispatches.forEach((dispatch, i) => {
    for (const tensor of reads(dispatch)) lastUse.set(tensor, i);
  });
  return dispatches.flatMap((dispatch, i) => {
    const windows = runs.map((run) => run.dispatches[i]!);
    const made = windows.map(({ output }) => output).filter((output) => !places.has(output));
    if (made.length > 0)
      for (const [tensor, place] of layOut(made, (size) => submission.take(size))) places.set(tensor, place);
    const byBuffer = new Map<GPUBuffer, Window[]>();
    for (const { input, residual, output, ...window } of windows) {
      const place = places.get(output)!;
      const others = byBuffer.get(place.buffer) ?? [];
      byBuffer.set(place.buffer, others);
      others.push({
        ...window,
        input: places.get(input)!,
        residual: residual && places.get(residual)!,
        output: place,
      });
    }
    for (const tensor of reads(dispatch))
      if (lastUse.get(tensor) === i && !given.has(tensor)) submission.reuse(places.get(tensor)!.buffer);
    return [...byBuffer.values()];
  });
}

function reads({ input, residual }: Dispatch): Tensor[] {
  return residual ? [input, residual] : [input];
}

function parametersOf(steps: readonly (readonly Window[])[]): Int32Array {
  const words = new Int32Array((steps.length * LAYERS_BYTES) / 4);
  steps.forEach((windows, i) => {
    windows.forEach(({ input, residual, output, parameters }, j) => {
      const at = (i * LAYERS_BYTES) / 4 + j * LAYER_WORDS;
      words.set([input.base, residual?.base ?? 0, output.base, ...parameters], at);
    });
  });
  return words;
}
