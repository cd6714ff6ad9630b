import type { Conv } from '../../network/model.ts';
import type { TensorFlow } from './backend.ts';
import { type DeviceLayer, uploadConv } from './layers.ts';

/**
 * Feature unfolding (section 3.1 of the LIIF paper): each site's vector is joined with those of its 3x3 neighbors, zeros outside, C -> 9C,
 * and f's first layer multiplies the result: P = W1 . unfold(M) + b1.
 *
 * What reads a 3x3 window at every site and multiplies it with a matrix is a 3x3 convolution, so the 9C channels are never laid out, and the
 * product is computed once a site where the paper computes it four times an output pixel. W1's columns of relative coordinate and cell are
 * the terms of cell.ts; the activation follows their sum.
 */
export function uploadUnfoldedLayer(tf: TensorFlow, firstLayer: Conv): DeviceLayer {
  return uploadConv(tf, firstLayer);
}
