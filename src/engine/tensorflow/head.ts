import type { Head } from '../../network/model.ts';
import type { Tensor, TensorFlow } from './backend.ts';
import { cellTerm, relativeCoordinateTerm, saturate16, uploadCoordinateWeights } from './cell.ts';
import { ensembleMembers, ensembleWeight, gatherSites } from './local-ensemble.ts';
import type { BatchPositions, QueryBatch } from './query-batch.ts';

/**
 * The LIIF head of spec 4.3 to 4.5 on the device. Shapes: B pieces, n rows and m columns of a piece, K hidden
 * units.
 */
export interface DeviceHead {
  /**
   * P as (sites,K) -> samples. For 16 bits one number per sample, (B*n*m,3). For 8 bits one number per pixel,
   * R + 256 G + 65536 B, (B*n*m,1): float32 holds it, and a third of the bytes have to be read back.
   */
  render(sites: Tensor, batch: QueryBatch, positions: BatchPositions): Tensor;
  dispose(): void;
}

export function uploadHead(tf: TensorFlow, head: Head): DeviceHead {
  const { hidden } = head;
  const coordinate = uploadCoordinateWeights(tf, head);
  const outputScale = 2 ** -head.outputShift;
  const output = tf.tensor(outputMatrix(head, outputScale), [hidden, 3]);
  const outputBias = tf.tensor(
    Float32Array.from(head.outputBias, (b) => b * outputScale),
    [1, 3],
  );
  const pixelPacking = tf.tensor([1, 2 ** 8, 2 ** 16], [3, 1]);

  /** relu of f's first layer at one site of every pixel: (B,n,m,K). */
  function hiddenVector(sites: Tensor, rowTerm: Tensor, columnTerm: Tensor): Tensor {
    const [batch, height] = rowTerm.shape as [number, number];
    const width = columnTerm.shape[1]!;
    const withRow = saturate16(tf, tf.add(sites, tf.reshape(rowTerm, [batch, height, 1, hidden])));
    return tf.clipByValue(tf.add(withRow, tf.reshape(columnTerm, [batch, 1, width, hidden])), 0, 32767);
  }

  /**
   * The hidden vectors of the local ensemble, weighed: the last layer is linear, so it is applied once, to
   * their sum.
   */
  function blended(sites: Tensor, batch: QueryBatch, positions: BatchPositions): Tensor {
    const count = batch.pieces.length;
    const rowFractions = tf.tensor(positions.rowFractions, [count, batch.height]);
    const columnFractions = tf.tensor(positions.columnFractions, [count, batch.width]);
    const cell = cellTerm(
      tf,
      coordinate,
      tf.tensor(positions.rowCells, [count, 1]),
      tf.tensor(positions.columnCells, [count, 1]),
    );
    let sum: Tensor | undefined;
    for (const member of ensembleMembers(batch)) {
      const previous = sum;
      sum = tf.tidy(() => {
        const { dy, dx } = member;
        const rows = tf.tensor(positions.rows[dy], [count, batch.height], 'int32');
        const columns = tf.tensor(positions.columns[dx], [count, batch.width], 'int32');
        const rowTerm = saturate16(
          tf,
          tf.add(relativeCoordinateTerm(tf, coordinate.row, rowFractions, dy), cell),
        );
        const columnTerm = relativeCoordinateTerm(tf, coordinate.column, columnFractions, dx);
        const vector = hiddenVector(gatherSites(tf, sites, rows, columns), rowTerm, columnTerm);
        const weighed = tf.mul(vector, ensembleWeight(tf, rowFractions, columnFractions, member));
        return previous ? tf.add(previous, weighed) : weighed;
      });
      previous?.dispose();
    }
    return tf.floor(tf.add(sum!, 0.5));
  }

  /** Spec 4.5. */
  function samples(vectors: Tensor, depth: 8 | 16): Tensor {
    const flat = tf.reshape(vectors, [vectors.size / hidden, hidden]);
    const value = tf.add(tf.matMul(flat, output), outputBias);
    if (depth === 8) return tf.matMul(tf.clipByValue(tf.floor(tf.add(value, 0.5)), 0, 255), pixelPacking);
    const fine = tf.clipByValue(tf.floor(tf.add(tf.mul(value, 256), 0.5)), 0, 65280);
    // Below 2^24, so exact.
    return tf.floor(tf.mul(tf.add(tf.mul(fine, 257), 128), 2 ** -8));
  }

  return {
    render: (sites, batch, positions) =>
      tf.tidy(() =>
        samples(
          tf.tidy(() => blended(sites, batch, positions)),
          batch.depth,
        ),
      ),
    dispose() {
      coordinate.dispose();
      output.dispose();
      outputBias.dispose();
      pixelPacking.dispose();
    },
  };
}

/** [3][K] -> [K][3], times `scale`, a power of two. */
function outputMatrix({ hidden, outputWeight }: Head, scale: number): Float32Array {
  return Float32Array.from(
    { length: hidden * 3 },
    (_, i) => outputWeight[(i % 3) * hidden + Math.floor(i / 3)]! * scale,
  );
}
