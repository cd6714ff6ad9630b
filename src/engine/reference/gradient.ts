import { cellTerm, renderQuery } from '../../head/ensemble.ts';
import { NATIVE_CELL, nativeAxis } from '../../head/query.ts';
import { clamp, pictureValue, round, sat16 } from '../../network/fixed-point.ts';
import { ERROR_LIMIT, type GradientNetwork, gradientNetwork } from '../../network/gradient.ts';
import type { Model, Residual } from '../../network/model.ts';
import { scaled, sitesOf } from '../../network/window.ts';
import type { Extent, Patch, Rect } from '../engine.ts';
import { addClamped, conv, planLayers, runLayer } from './layers.ts';

/** The contract's `gradient` in plain loops: the decoder forwards, then derivatives backwards over `latents` and their pixels alone. */
export function latentGradient(
  model: Model,
  coded: Patch,
  level: Extent,
  latents: Rect,
  target: Patch,
  quality: number,
): Int16Array {
  const network = gradientNetwork(model);
  const sites = sitesOf(model, latents);
  /** Of the inside of each residual, the last first. */
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

  // From here on the window is everything there is, and begins at (0, 0).
  let gradient = atOrigin(headGradient(model, network, patch, target));
  const whole: Rect = { top: 0, left: 0, height: latents.height, width: latents.width };
  let residuals = 0;
  for (const planned of planLayers(network.layers, sites, whole)) {
    const { layer, extent } = planned;
    if (layer.op === 'residual') {
      const number = residuals++;
      gradient = backwards(layer, gradient, extent, network.leaky[number] ? activations[number] : undefined);
    } else {
      gradient = runLayer(planned, gradient, quality);
    }
  }
  return gradient.data;
}

/** clamp(in + second(slope * first(in))), the slope being that of the activation that made `activations`. */
function backwards(layer: Residual, input: Patch, extent: Extent, activations: Patch | undefined): Patch {
  const inner = conv(layer.first, input, extent, input.rect, 1);
  if (activations) {
    for (let i = 0; i < inner.data.length; i++)
      if (activations.data[i]! <= 0) inner.data[i] = inner.data[i]! >> 3;
  }
  return addClamped(input, conv(layer.second, inner, extent, input.rect, 1), layer.limit);
}

/** Half the derivative of the squared error over `target` by P, zero at other sites. */
function headGradient(
  { head, imageShift }: Model,
  { headShift, headLimit }: GradientNetwork,
  p: Patch,
  target: Patch,
): Patch {
  const { hidden, outputWeight } = head;
  const { rect } = target;
  const shown = renderQuery(
    head,
    // Pixels on sites read no others, so the window may count as the level.
    { rect: { ...p.rect, top: 0, left: 0 }, level: p.rect, data: p.data },
    {
      rows: nativeAxis(rect.top - p.rect.top, rect.height),
      columns: nativeAxis(rect.left - p.rect.left, rect.width),
      depth: 16,
    },
  );
  const cell = cellTerm(head, NATIVE_CELL, NATIVE_CELL);
  const data = new Int16Array(p.data.length);
  for (let y = 0, t = 0; y < rect.height; y++) {
    let at = ((rect.top + y - p.rect.top) * p.rect.width + rect.left - p.rect.left) * hidden;
    for (let x = 0; x < rect.width; x++, t += 3, at += hidden) {
      const errors = [0, 1, 2].map((c) =>
        clamp(pictureValue(shown[t + c]!, imageShift) - target.data[t + c]!, ERROR_LIMIT),
      );
      for (let k = 0; k < hidden; k++) {
        if (sat16(p.data[at + k]! + cell[k]!) <= 0) continue;
        const sum = errors.reduce((total, error, c) => total + error * outputWeight[c * hidden + k]!, 0);
        data[at + k] = clamp(round(sum, headShift), headLimit);
      }
    }
  }
  return { ...p, data };
}

function atOrigin(patch: Patch): Patch {
  return { ...patch, rect: { ...patch.rect, top: 0, left: 0 } };
}
