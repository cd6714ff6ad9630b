import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';

/** Opens TensorFlow.js' wasm backend on one thread. */
export async function openTensorflow(): Promise<void> {
  const location = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${dirname(location)}/`);
  setThreadsCount(1);
  if (!(await tf.setBackend('wasm'))) throw new Error('TensorFlow.js has no wasm backend here');
  await tf.ready();
}

/** A 3x3 convolution of (size,size,channels) to as many channels: fastest of `runs` calls, in seconds. */
export function timeTensorflowConv(size: number, channels: number, runs: number): number {
  return tf.tidy(() => {
    const input = tf.randomNormal<tf.Rank.R4>([1, size, size, channels]);
    const weight = tf.randomNormal<tf.Rank.R4>([3, 3, channels, channels]);
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < runs; run++) {
      const start = performance.now();
      tf.conv2d(input, weight, 1, 'same').dataSync();
      best = Math.min(best, performance.now() - start);
    }
    return best / 1000;
  });
}
