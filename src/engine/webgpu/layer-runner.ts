import type { DeviceNetwork } from './pack.ts';
import { type Dispatch, type Tensor, tensorBytes } from './plan.ts';
import type { Kernel } from './shaders.ts';
import type { Submission } from './submission.ts';

/** Uniform bindings begin at multiples of this. */
const UNIFORM_STRIDE = 256;

/** Records runs of kernels, with memory for the tensors between them. */
export class LayerRunner {
  readonly #device: GPUDevice;
  readonly #pipelines: ReadonlyMap<Kernel, GPUComputePipeline>;
  readonly #network: DeviceNetwork;

  constructor(device: GPUDevice, pipelines: ReadonlyMap<Kernel, GPUComputePipeline>, network: DeviceNetwork) {
    this.#device = device;
    this.#pipelines = pipelines;
    this.#network = network;
  }

  /** `given`: where the tensors are that are there before or wanted afterwards. */
  record(
    submission: Submission,
    dispatches: readonly Dispatch[],
    given: ReadonlyMap<Tensor, GPUBuffer>,
  ): void {
    const uniforms = this.#writeParameters(submission, dispatches);
    const lastUse = new Map<Tensor, number>();
    dispatches.forEach(({ input, residual }, i) => {
      lastUse.set(input, i);
      if (residual) lastUse.set(residual, i);
    });
    const buffers = new Map(given);
    const pass = submission.encoder.beginComputePass();
    dispatches.forEach((dispatch, i) => {
      const { kernel, input, residual, output, layer, workgroups } = dispatch;
      if (!buffers.has(output)) buffers.set(output, submission.take(tensorBytes(output)));
      const bound = (binding: number, tensor: Tensor): GPUBindGroupEntry => ({
        binding,
        resource: { buffer: buffers.get(tensor)!, size: tensorBytes(tensor) },
      });
      const entries: GPUBindGroupEntry[] = [
        {
          binding: 0,
          resource: { buffer: uniforms, offset: i * UNIFORM_STRIDE, size: UNIFORM_STRIDE },
        },
        bound(1, input),
        bound(5, output),
      ];
      const tensors = layer && this.#network.get(layer);
      if (tensors) entries.push({ binding: 3, resource: { buffer: tensors.bias } });
      if (tensors?.weights) {
        entries.push({ binding: 2, resource: { buffer: tensors.weights } });
        // Something has to be bound where nothing is added.
        entries.push(residual ? bound(4, residual) : { binding: 4, resource: { buffer: tensors.bias } });
      }
      const pipeline = this.#pipelines.get(kernel)!;
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, this.#device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
      pass.dispatchWorkgroups(...workgroups);
      for (const tensor of residual ? [input, residual] : [input])
        if (lastUse.get(tensor) === i && !given.has(tensor)) submission.reuse(buffers.get(tensor)!);
    });
    pass.end();
  }

  #writeParameters(submission: Submission, dispatches: readonly Dispatch[]): GPUBuffer {
    const words = new Int32Array((dispatches.length * UNIFORM_STRIDE) / 4);
    for (const [i, { parameters }] of dispatches.entries()) words.set(parameters, (i * UNIFORM_STRIDE) / 4);
    return submission.upload(words);
  }
}
