import type { Tensor, Tensor4D, TensorFlow } from './tensorflow.ts';

/**
 * The local ensemble (spec 4.3 to 4.5) in floats, for a window of an enlargement. Sites are gathered by
 * matrix products with zeros and ones: their gradient is a matrix product, too, while that of a look-up is a
 * slow scattered sum.
 *
 * B = pictures of a batch, n, m = rows, columns of the window, H, W = rows, columns of sites, K = hidden
 * units.
 */
export interface EnlargedWindow {
  /** Size of an output pixel in sites: 1/scale. */
  readonly cell: number;
  /**
   * Features P (B,H,W,K), the share of the cell (K) and the head's weights of relative coordinates, [K] each
   * -> hidden vectors (B,n,m,K), blended from the four nearest sites.
   */
  blend(features: Tensor4D, cellTerm: Tensor, rowWeight: Int16Array, columnWeight: Int16Array): Tensor;
}

export interface WindowPlace {
  /** Output pixels per site, 1..4. */
  readonly scale: number;
  /** First row and column in output pixels, and the side of the window. */
  readonly top: number;
  readonly left: number;
  readonly size: number;
}

export function enlargedWindow(tf: TensorFlow, { scale, top, left, size }: WindowPlace): EnlargedWindow {
  return {
    cell: 1 / scale,
    blend(features, cellTerm, rowWeight, columnWeight) {
      const [batch, height, width, hidden] = features.shape;
      const rows = axis(top, size, scale, height);
      const columns = axis(left, size, scale, width);
      const term = (weights: Int16Array, fraction: Float32Array, offset: 0 | 1) =>
        tf.mul(
          tf.tensor2d(
            Float32Array.from(fraction, (f) => f - offset),
            [size, 1],
          ),
          tf.tensor2d(Float32Array.from(weights), [1, hidden]),
        );
      const share = (fraction: Float32Array, offset: 0 | 1) =>
        Float32Array.from(fraction, (f) => (offset ? f : 1 - f));
      let blended: Tensor | undefined;
      for (const dy of [0, 1] as const) {
        const chosenRows = tf.matMul(
          tf.tensor3d(rows.chosen[dy], [1, size, height]),
          tf.reshape(features, [batch, height, width * hidden]),
        );
        const lines = tf.reshape(chosenRows, [batch * size, width, hidden]);
        const rowTerm = tf.reshape(tf.add(term(rowWeight, rows.fraction, dy), cellTerm), [
          1,
          size,
          1,
          hidden,
        ]);
        const rowShare = tf.tensor4d(share(rows.fraction, dy), [1, size, 1, 1]);
        for (const dx of [0, 1] as const) {
          const chosen = tf.matMul(tf.tensor3d(columns.chosen[dx], [1, size, width]), lines);
          const sites = tf.reshape(chosen, [batch, size, size, hidden]);
          const columnTerm = tf.reshape(term(columnWeight, columns.fraction, dx), [1, 1, size, hidden]);
          const columnShare = tf.tensor4d(share(columns.fraction, dx), [1, 1, size, 1]);
          const vectors = tf.relu(tf.add(sites, tf.add(rowTerm, columnTerm)));
          const weighed = tf.mul(vectors, tf.mul(rowShare, columnShare));
          blended = blended ? tf.add(blended, weighed) : weighed;
        }
      }
      return blended!;
    },
  };
}

/**
 * One axis of a window of `size` output pixels from `first` on. `fraction` [size]: distance of a pixel from
 * the site before it, 0..1. `chosen`: that site and the next one, each as a matrix (size,sites) with a single
 * one in every row.
 */
function axis(first: number, size: number, scale: number, sites: number) {
  const fraction = new Float32Array(size);
  const chosen = [new Float32Array(size * sites), new Float32Array(size * sites)] as const;
  for (let i = 0; i < size; i++) {
    const position = (first + i + 0.5) / scale - 0.5;
    const site = Math.floor(position);
    fraction[i] = position - site;
    for (const offset of [0, 1] as const)
      chosen[offset][i * sites + Math.min(sites - 1, Math.max(0, site + offset))] = 1;
  }
  return { fraction, chosen };
}
