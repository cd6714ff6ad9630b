import type { Head } from '../../network/model.ts';
import type { Tensor, TensorFlow } from './backend.ts';

/**
 * What f's first layer makes of where a pixel lies and how large it is (spec 4.4). Q14 fractions, Q12 cells.
 * K = hidden units.
 */
export interface CoordinateWeights {
  /** (1,K), divided by 2^14. */
  readonly row: Tensor;
  readonly column: Tensor;
  /** (1,K), divided by 2^cellShift. */
  readonly cellRow: Tensor;
  readonly cellColumn: Tensor;
  dispose(): void;
}

export function uploadCoordinateWeights(tf: TensorFlow, head: Head): CoordinateWeights {
  const upload = (weight: Int16Array, scale: number) =>
    tf.tensor(
      Float32Array.from(weight, (w) => w * scale),
      [1, head.hidden],
    );
  const cellScale = 2 ** -head.cellShift;
  const weights = {
    row: upload(head.rowWeight, 2 ** -14),
    column: upload(head.columnWeight, 2 ** -14),
    cellRow: upload(head.cellRowWeight, cellScale),
    cellColumn: upload(head.cellColumnWeight, cellScale),
  };
  return {
    ...weights,
    dispose() {
      for (const tensor of Object.values(weights)) tensor.dispose();
    },
  };
}

/**
 * Cell decoding (section 3.2 of the LIIF paper): the pixel's height and width enter f, so that it can render
 * for the pixel's size. Cells (B,1) in sites -> c (B,1,K).
 */
export function cellTerm(
  tf: TensorFlow,
  weights: CoordinateWeights,
  cellRows: Tensor,
  cellColumns: Tensor,
): Tensor {
  const sum = tf.add(tf.mul(cellRows, weights.cellRow), tf.mul(cellColumns, weights.cellColumn));
  const term = roundTo16(tf, sum);
  return tf.reshape(term, [term.shape[0]!, 1, term.shape[1]!]);
}

/**
 * The relative coordinate x_q - v* along one axis: fractions (B,n) from the nearest site before the pixel's
 * center, seen from that site (offset 0) or from the one after it (offset 1) -> (B,n,K).
 */
export function relativeCoordinateTerm(
  tf: TensorFlow,
  weight: Tensor,
  fractions: Tensor,
  offset: 0 | 1,
): Tensor {
  const [batch, count] = fractions.shape as [number, number];
  const relative = tf.reshape(tf.sub(fractions, offset * 2 ** 14), [batch, count, 1]);
  return roundTo16(tf, tf.mul(relative, weight));
}

/** To the nearest integer, ties upward, held within int16. */
function roundTo16(tf: TensorFlow, values: Tensor): Tensor {
  return saturate16(tf, tf.floor(tf.add(values, 0.5)));
}

export function saturate16(tf: TensorFlow, values: Tensor): Tensor {
  return tf.clipByValue(values, -32768, 32767);
}
