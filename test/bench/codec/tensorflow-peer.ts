import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';

/** Opens TensorFlow.js' wasm backend on one thread, with SIMD if this machine has it. */
export async function openTensorflow(): Promise<void> {
  const location = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${dirname(location)}/`);
  setThreadsCount(1);
  if (!(await tf.setBackend('wasm'))) throw new Error('TensorFlow.js has no wasm backend here');
  await tf.ready();
}

export interface PreparedConv {
  run(): void;
  dispose(): void;
}

/**
 * A convolution of float32, stride 1, zeros outside: (1,size,size,inputs) to (1,size,size,outputs). `run`
 * returns when its kernels have run.
 */
export function tensorflowConv(size: number, kernel: number, inputs: number, outputs: number): PreparedConv {
  const input = tf.randomNormal<tf.Rank.R4>([1, size, size, inputs]);
  const weight = tf.randomNormal<tf.Rank.R4>([kernel, kernel, inputs, outputs]);
  return {
    run: () => tf.conv2d(input, weight, 1, 'same').dispose(),
    dispose: () => tf.dispose([input, weight]),
  };
}
