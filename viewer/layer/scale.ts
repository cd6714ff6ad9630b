// Scale in words. A scale is 2^exponent pixels of the screen, or of a saved image, per pixel of the picture.

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

export type Sharpness = 'reduced' | 'native' | 'synthesized';

/** Native within a hundredth of a percent: gestures rarely hit it exactly. */
export function sharpnessOf(exponent: number): Sharpness {
  if (Math.abs(exponent) < 1e-4) return 'native';
  return exponent < 0 ? 'reduced' : 'synthesized';
}

/** As short as can be: 25 %, 1×, 7.7×, 4,096×, 2⁶⁰×, 1.3·10¹⁸×. */
export function formatScale(exponent: number): string {
  if (exponent < -1e-4) {
    const percent = 100 * 2 ** exponent;
    return `${percent >= 10 ? Math.round(percent) : percent.toPrecision(2)} %`;
  }
  if (exponent < 20) {
    const scale = 2 ** exponent;
    const near = Math.round(scale);
    // On screens of three pixels to a CSS pixel whole scales need not be powers of two.
    const shown =
      scale >= 100 || Math.abs(scale - near) < 1e-4 * near
        ? near.toLocaleString('en')
        : scale.toFixed(scale < 10 ? 2 : 1);
    return `${shown}×`;
  }
  const nearest = Math.round(exponent);
  if (Math.abs(exponent - nearest) < 1e-4) return `2${superscript(nearest)}×`;
  const decimal = exponent * Math.log10(2);
  const power = Math.floor(decimal + 1e-9);
  return `${(10 ** (decimal - power)).toFixed(1)}·10${superscript(power)}×`;
}

/** For screen readers, which stumble over superscripts. */
export function spokenScale(exponent: number): string {
  if (exponent < -1e-4) return `${formatScale(exponent).replace(' %', '')} percent`;
  if (exponent < 20) return `${formatScale(exponent).slice(0, -1)} times`;
  return `2 to the power of ${Number(exponent.toFixed(1))} times`;
}

function superscript(value: number): string {
  return String(value).replaceAll(/\d/g, (digit) => SUPERSCRIPTS[Number(digit)]!);
}
