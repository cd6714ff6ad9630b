import { renderQuery } from '../../head/ensemble.ts';
import { cellTerm, NATIVE_CELL, nativeAxis } from '../../head/query.ts';
import { clamp, round, sat16 } from '../../network/fixed-point.ts';
import { ERROR_LIMIT, type GradientNetwork, gradientNetwork } from '../../network/gradient.ts';
import type { Model, Residual } from '../../network/model.ts';
import { scaled, sitesOf, whole } from '../../network/window.ts';
import { expectErrors } from '../arguments.ts';
import type { Extent, Patch, Rect, Samples } from '../engine.ts';
import { bySlopes } from './backpropagation.ts';
import { addClamped, conv, planLayers, runLayer } from './layers.ts';

/**
 * The contract's `gradient` in plain loops: the decoder forwards, then derivatives backwards, over `latents`
 * alone (network/gradient.ts).
 */
export function latentGradient(
  model: Model,
  coded: Patch,
  level: Extent,
  latents: Rect,
  pixels: Rect,
  errorsOf: (shown: Samples) => Int16Array,
  quality: number,
): Int16Array {
  const network = gradientNetwork(model);
  const sites = sitesOf(model, latents);
  /**
   * Outputs of the first convolution of each residual, the last residual first: derivatives meet them in this
   * order.
   */
  const activations: Patch[] = [];
  let patch = coded;
  let scale = 1;
  for (const planned of planLayers(model.synthesis, level, sites)) {
    const { layer, extent } = planned;
    if (layer.op === 'residual')
      activations.unshift(conv(layer.first, patch, extent, scaled(latents, scale), quality));
    if (layer.op === 'shuffle') scale *= layer.factor;
    patch = runLayer(planned, patch, quality);
  }

  const errors: Patch = {
    rect: pixels,
    channels: 3,
    data: expectErrors(errorsOf(show(model, patch, pixels)), pixels),
  };

  // From here on the window counts as the whole tensor, and begins at (0, 0).
  let gradient = atOrigin(headGradient(model, network, patch, errors));
  let residuals = 0;
  for (const planned of planLayers(network.layers, sites, whole(latents))) {
    const { layer, extent } = planned;
    if (layer.op === 'residual') {
      gradient = backwards(layer, gradient, extent, activations[residuals++]!);
    } else {
      gradient = runLayer(planned, gradient, quality);
    }
  }
  return gradient.data;
}

/** A residual backwards: clamp(in + second(slope * first(in))), the slope being that of `activations`. */
function backwards(layer: Residual, input: Patch, extent: Extent, activations: Patch): Patch {
  const inner = bySlopes(conv(layer.first, input, extent, input.rect, 1), activations);
  return addClamped(input, conv(layer.second, inner, extent, input.rect, 1), layer.limit);
}

/** The samples of `pixels` at native scale, from P. */
function show({ head }: Model, p: Patch, { top, left, height, width }: Rect): Samples {
  return renderQuery(
    head,
    // Pixels on sites read no others, so the window may count as the level.
    { rect: { ...p.rect, top: 0, left: 0 }, level: p.rect, data: p.data },
    {
      rows: nativeAxis(top - p.rect.top, height),
      columns: nativeAxis(left - p.rect.left, width),
      depth: 16,
    },
  );
}

/** Half the derivative by P of the error whose derivative by samples is given; zero at other sites. */
function headGradient(
  { head }: Model,
  { headShift, headLimit }: GradientNetwork,
  p: Patch,
  errors: Patch,
): Patch {
  const { hidden, outputWeight } = head;
  const { rect } = errors;
  const cell = cellTerm(head, NATIVE_CELL, NATIVE_CELL);
  const data = new Int16Array(p.data.length);
  for (let y = 0, e = 0; y < rect.height; y++) {
    let at = ((rect.top + y - p.rect.top) * p.rect.width + rect.left - p.rect.left) * hidden;
    for (let x = 0; x < rect.width; x++, e += 3, at += hidden) {
      const held = [0, 1, 2].map((c) => clamp(errors.data[e + c]!, ERROR_LIMIT));
      for (let k = 0; k < hidden; k++) {
        if (sat16(p.data[at + k]! + cell[k]!) <= 0) continue;
        const sum = held.reduce((total, error, c) => total + error * outputWeight[c * hidden + k]!, 0);
        data[at + k] = clamp(round(sum, headShift), headLimit);
      }
    }
  }
  return { ...p, data };
}

function atOrigin(patch: Patch): Patch {
  return { ...patch, rect: { ...patch.rect, top: 0, left: 0 } };
}
