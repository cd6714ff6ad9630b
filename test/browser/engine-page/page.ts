import { openReferenceEngine } from '../../../src/engine/reference/reference-engine.ts';
import { analysisStart } from '../../../src/engine/webgpu/analysis-start.ts';
import { DeviceChunks } from '../../../src/engine/webgpu/device-chunks.ts';
import { openKernels } from '../../../src/engine/webgpu/kernels.ts';
import { webGpuEngine } from '../../../src/engine/webgpu/webgpu-engine.ts';
import type { FromWorker, ToWorker } from '../../../src/engine/worker/messages.ts';
import { serveEngine } from '../../../src/engine/worker/serve-engine.ts';

declare global {
  interface Window {
    /** Passes a message to the WebGPU engine of this number, which begins with its first message. */
    toEngine(engine: number, message: ToWorker): void;
    /** Of the test: takes the answers. */
    fromEngine(engine: number, message: FromWorker): void;
  }
}

/** The device, compiled for once. */
const kernels = openKernels({
  gpu: navigator.gpu,
  software: true,
  readAsset: async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer()),
});

const engines = new Map<number, (message: ToWorker) => void>();

window.toEngine = (number, message) => {
  let handle = engines.get(number);
  if (!handle) {
    handle = serveEngine(
      async (model) =>
        webGpuEngine(model, await kernels, {
          cpu: openReferenceEngine(model),
          analysisStart,
          deviceChunks: DeviceChunks,
          chunksOn: 'device',
        }),
      (answer) => window.fromEngine(number, answer),
    );
    engines.set(number, handle);
  }
  handle(message);
};
