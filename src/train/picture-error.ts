import { lumaPlane, pullToStructure } from '../metrics/structural-pull.ts';
import { type Tensor, type Tensor4D, type TensorFlow, withGradient } from './tensorflow.ts';

/** Share of MS-SSIM in the gradient of luma at the lowest quality. */
const LARGEST_STRUCTURE_SHARE = 0.5;
/**
 * Weights of the errors of the outermost pixels, from the border inwards; all others have 1. The network sees
 * zeros beyond the border, so errors are larger there: without these weights white paper gets a gray frame.
 */
const BORDER_WEIGHTS = [5, 2, 1.5, 1.5];

/**
 * Share of MS-SSIM in the gradient of luma at a quality (1..qualities), 0 at the highest: there squared error
 * is what is left to gain.
 */
export function structureShare(quality: number, qualities: number): number {
  return LARGEST_STRUCTURE_SHARE * (1 - ((quality - 1) / (qualities - 1)) ** 2);
}

/** Weights of the pixels of a square picture, (side, side). */
export function frameWeights(side: number): Float32Array {
  const inwards = (at: number) => Math.min(at, side - 1 - at);
  return Float32Array.from(
    { length: side * side },
    (_, i) => BORDER_WEIGHTS[Math.min(inwards(Math.floor(i / side)), inwards(i % side))] ?? 1,
  );
}

/**
 * Error of each picture, (B): the weighted mean of squared errors. Its gradient is that of an error that
 * mixes in MS-SSIM (`pullToStructure`). `shown` and `wanted`: samples (B,S,S,3), 0..255. `shares`:
 * `structureShare` of each picture, [B]. `weights`: of pixels, (S,S).
 */
export function pictureError(
  tf: TensorFlow,
  shown: Tensor4D,
  wanted: Float32Array,
  shares: readonly number[],
  weights: Float32Array,
): Tensor {
  const { shape } = shown;
  const [count, height, width] = shape;
  const length = height * width * 3;
  const steered = withGradient(
    tf,
    (samples: Tensor4D) => {
      const squares = tf.squaredDifference(samples, tf.tensor4d(wanted, shape));
      return tf.mean(tf.mul(squares, tf.tensor3d(weights, [height, width, 1])), [1, 2, 3]);
    },
    (dy, samples) => {
      const seen = samples.dataSync();
      const gradient = new Float32Array(count * length);
      for (const [i, share] of shares.entries()) {
        const [from, to] = [i * length, (i + 1) * length];
        const pull = pulls(seen.subarray(from, to), wanted.subarray(from, to), { width, height }, share);
        gradient.set(
          pull.map((value, at) => (2 * value * weights[Math.floor(at / 3)]!) / length),
          from,
        );
      }
      return tf.mul(tf.reshape(dy, [count, 1, 1, 1]), tf.tensor4d(gradient, shape));
    },
  );
  return steered(shown);
}

/** Half the derivative of one picture's error by its samples, before pixel weights. */
function pulls(
  shown: ArrayLike<number>,
  wanted: Float32Array,
  size: { readonly width: number; readonly height: number },
  share: number,
): Float64Array {
  const off = Float64Array.from(wanted, (sample, i) => shown[i]! - sample);
  pullToStructure(off, lumaPlane(shown, size), lumaPlane(wanted, size), share);
  return off;
}
