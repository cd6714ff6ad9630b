import type { Head } from '../../network/model.ts';
import type { FeatureMap, Query } from '../engine.ts';
import { type Batch, headRequest } from './head-request.ts';
import type { Submission } from './submission.ts';

/** Records runs of the head. A batch of queries is one dispatch. */
export class HeadRunner {
  readonly #device: GPUDevice;
  readonly #pipeline: GPUComputePipeline;
  readonly #head: Head;
  readonly #weights: GPUBuffer;

  /** `weights`: the result of `packHead`, on the device. */
  constructor(device: GPUDevice, pipeline: GPUComputePipeline, head: Head, weights: GPUBuffer) {
    this.#device = device;
    this.#pipeline = pipeline;
    this.#head = head;
    this.#weights = weights;
  }

  /** Records one batch. `sites`: the buffer of the features. The samples are copied to `staging`. */
  record(
    submission: Submission,
    features: FeatureMap,
    sites: GPUBuffer,
    queries: readonly Query[],
    batch: Batch,
    staging: GPUBuffer,
  ): void {
    const request = headRequest(this.#head, features, queries, batch);
    const buffer = submission.upload(request.words);
    const samples = submission.take(batch.byteLength);
    const resources: GPUBufferBinding[] = [
      { buffer, ...request.features },
      { buffer: sites, size: features.byteLength },
      { buffer: this.#weights },
      { buffer, ...request.queries },
      { buffer, ...request.axes },
      { buffer, ...request.terms },
      { buffer: samples, size: batch.byteLength },
    ];
    const pass = submission.encoder.beginComputePass();
    pass.setPipeline(this.#pipeline);
    pass.setBindGroup(
      0,
      this.#device.createBindGroup({
        layout: this.#pipeline.getBindGroupLayout(0),
        entries: resources.map((resource, binding) => ({ binding, resource })),
      }),
    );
    pass.dispatchWorkgroups(...request.workgroups);
    pass.end();
    submission.encoder.copyBufferToBuffer(samples, 0, staging, 0, batch.byteLength);
  }
}
