import type { PlainSpeed } from '../engine.ts';
import { leastSeconds } from '../speed.ts';
import type { Tensor, TensorFlow } from './backend.ts';

/**
 * A matrix product and a copy (an addition of nothing) as large as the device takes in its stride, read back
 * at one element.
 */
export async function plainSpeed(
  tf: TensorFlow,
  onGpu: boolean,
  signal: AbortSignal | undefined,
): Promise<PlainSpeed> {
  const side = onGpu ? 4096 : 512;
  const length = onGpu ? 2 ** 26 : 2 ** 23;
  const matrix = tf.tidy(() => tf.add(tf.zeros([side, side]), 1));
  const buffer = tf.tidy(() => tf.add(tf.zeros([length]), 1));
  // A GPU works on several while the first is under way.
  const together = onGpu ? 8 : 1;
  try {
    const product = await leastSeconds(() => repeat(() => tf.matMul(matrix, matrix)), {
      seconds: 0.5,
      signal,
    });
    const copy = await leastSeconds(() => repeat(() => tf.add(buffer, 0)), { seconds: 0.5, signal });
    return {
      gigaMacs: (together * side ** 3) / product / 1e9,
      copyGigabytes: (together * 2 * 4 * length) / copy / 1e9,
    };
  } finally {
    matrix.dispose();
    buffer.dispose();
  }

  async function repeat(work: () => Tensor): Promise<void> {
    const last = tf.tidy(() => {
      for (let i = 1; i < together; i++) work().dispose();
      return tf.slice(tf.reshape(work(), [-1]), [0], [1]);
    });
    await last.data();
    last.dispose();
  }
}
