import { UnsupportedError } from '../errors.ts';
import { levelOf } from './fixed-point.ts';
import type { Conv, Layer, Model } from './model.ts';
import { oncePer } from './once-per.ts';
import { bits, growth, inputLimit, LIMIT, meanSquare, transposed, withLimits } from './transposed.ts';

/**
 * The derivative of the error of decoded pixels by latents, as a network of integers. Only encoders run it:
 * the format does not know of it.
 *
 * Backpropagation through a convolution is a convolution (`transposed.ts`); through a shuffle, an unshuffle;
 * through a residual, a residual whose branch runs backwards. So engines run this network as any other, except
 * for the slopes of activations.
 *
 * Shifts are chosen so that values keep their magnitude from layer to layer; the factor `unit` restores the
 * scale of the result. Values beyond a limit saturate. Clamps of the decoder are ignored, so that a latent
 * whose effect is clamped is still pulled in the right direction.
 */
export interface GradientNetwork {
  /**
   * Layers from the derivative by P to the derivative by latents. Residuals are those of the synthesis, last
   * first. The output of the first convolution of a residual is multiplied by the slope of the activation
   * there (spec 3.3); that convolution itself is not leaky.
   */
  readonly layers: readonly Layer[];
  /**
   * Shift of the derivatives by P, which are sums over the three colors of outputWeight times the derivative
   * by a sample.
   */
  readonly headShift: number;
  /** Limit of the derivatives by P. */
  readonly headLimit: number;
  /**
   * Factor that makes of an output half the derivative of the squared error (in 8-bit units) by a latent (in
   * units of the model).
   */
  readonly unit: number;
}

/**
 * Errors of samples, in units of the input of analysis (spec 3.4), are clamped to -ERROR_LIMIT ..
 * ERROR_LIMIT, so that the sum of three products fits int32.
 */
export const ERROR_LIMIT = 16383;

/**
 * The network of a model, made once. Throws UnsupportedError where the synthesis has activations outside of
 * residuals, whose slopes it does not apply.
 */
export const gradientNetwork = oncePer(makeNetwork);

function makeNetwork({ synthesis, head, imageShift }: Model): GradientNetwork {
  const layers: Layer[] = [];
  let exponent = 0;
  for (const layer of synthesis.toReversed()) {
    switch (layer.op) {
      case 'row':
        break;
      case 'shuffle':
        layers.push({ op: 'unshuffle', factor: layer.factor });
        break;
      case 'conv': {
        expectLinear(layer);
        const shift = growth(layer);
        exponent += shift - layer.shift;
        layers.push(transposed(layer, shift));
        break;
      }
      case 'residual': {
        // Both shifts add up to those of the decoder, so that branch and input have the same scale where they
        // are added.
        const both = layer.first.shift + layer.second.shift;
        const shift = Math.min(both, growth(layer.second));
        layers.push({
          op: 'residual',
          first: transposed(layer.second, shift),
          second: transposed(layer.first, both - shift),
          limit: LIMIT,
        });
        break;
      }
    }
  }
  const limited = withLimits(layers);
  const headShift = bits(meanSquare(head.outputWeight, head.hidden));
  exponent += headShift - (head.outputShift - 8);
  const level = levelOf(imageShift);
  // The head makes 256 steps of the 257 sixteen-bit samples of a level.
  const unit = ((2 ** exponent * 2) / 2 ** imageShift) * (257 / 256);
  return {
    layers: limited,
    headShift,
    headLimit: inputLimit(limited[0], limited[1]),
    unit: unit / (level * level),
  };
}

function expectLinear(conv: Conv): void {
  if (conv.leaky)
    throw new UnsupportedError(
      'Pictures cannot be optimized for this model: its synthesis has activations outside of residuals',
    );
}
