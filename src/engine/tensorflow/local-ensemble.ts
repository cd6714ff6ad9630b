import type { Tensor, Tensor1D, TensorFlow } from './backend.ts';
import type { QueryBatch } from './query-batch.ts';

/** One of the four sites around a pixel: 0 = above, left; 1 = below, right. */
export interface EnsembleMember {
  readonly dy: 0 | 1;
  readonly dx: 0 | 1;
}

/**
 * The local ensemble (section 3.1 of the LIIF paper): the four sites nearest to a pixel each predict, and are
 * weighed by the area of the rectangle diagonally opposite. Where no pixel of a batch lies between two rows
 * of sites, or two columns, the further ones weigh nothing and are left out; at native scale one site is
 * left.
 */
export function ensembleMembers(batch: QueryBatch): EnsembleMember[] {
  const members: EnsembleMember[] = [];
  for (const dy of batch.betweenRows ? ([0, 1] as const) : ([0] as const)) {
    for (const dx of batch.betweenColumns ? ([0, 1] as const) : ([0] as const)) members.push({ dy, dx });
  }
  return members;
}

/** P at each pixel's site of this member: (sites,K) at rows (B,n) and columns (B,m) -> (B,n,m,K). */
export function gatherSites(tf: TensorFlow, sites: Tensor, rows: Tensor, columns: Tensor): Tensor {
  const [batch, height] = rows.shape as [number, number];
  const width = columns.shape[1]!;
  const index = tf.add(tf.reshape(rows, [batch, height, 1]), tf.reshape(columns, [batch, 1, width]));
  return tf.gather(sites, index as Tensor1D);
}

/**
 * Areas of the opposite rectangles, of sum 1, in steps of 2^-14 (spec 4.4): fractions (B,n) and (B,m), Q14 ->
 * (B,n,m,1) for this member.
 */
export function ensembleWeight(
  tf: TensorFlow,
  rowFractions: Tensor,
  columnFractions: Tensor,
  { dy, dx }: EnsembleMember,
): Tensor {
  const [batch, height] = rowFractions.shape as [number, number];
  const width = columnFractions.shape[1]!;
  const fr = tf.reshape(rowFractions, [batch, height, 1, 1]);
  const fc = tf.reshape(columnFractions, [batch, 1, width, 1]);
  const s11 = tf.floor(tf.add(tf.mul(tf.mul(fr, 2 ** -14), fc), 0.5));
  return tf.mul(area(), 2 ** -14);

  function area(): Tensor {
    if (dy === 1) return dx === 1 ? s11 : tf.sub(fr, s11);
    if (dx === 1) return tf.sub(fc, s11);
    return tf.add(tf.sub(tf.sub(2 ** 14, fr), fc), s11);
  }
}
