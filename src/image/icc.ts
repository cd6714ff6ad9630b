/** Whether an ICC profile says nothing but sRGB, so that samples need no conversion and lose nothing. ICC.1:2022, chapters 7, 9 and 10. */

/** Columns of sRGB's matrix, adapted to D50. */
const PRIMARIES: Readonly<Record<string, readonly number[]>> = {
  rXYZ: [0.4361, 0.2225, 0.0139],
  gXYZ: [0.3851, 0.7169, 0.0971],
  bXYZ: [0.1431, 0.0606, 0.7141],
};
const CURVES = ['rTRC', 'gTRC', 'bTRC'];
/** Profiles of different makers differ by some 0.0003; Display P3 and Adobe RGB by 0.07 and more. */
const MATRIX_TOLERANCE = 0.002;
/** In linear light; a gamma of 2.2 differs by 0.008. */
const CURVE_TOLERANCE = 0.0015;

/** False for anything that it does not understand. */
export function isSrgbProfile(icc: Uint8Array): boolean {
  try {
    return matches(new DataView(icc.buffer, icc.byteOffset, icc.length));
  } catch (error) {
    if (error instanceof RangeError) return false; // an offset beyond the end
    throw error;
  }
}

function matches(view: DataView): boolean {
  if (textAt(view, 16) !== 'RGB ' || textAt(view, 20) !== 'XYZ ') return false;
  const tags = new Map<string, number>();
  for (let i = 0, count = Math.min(100, view.getUint32(128)); i < count; i++)
    tags.set(textAt(view, 132 + 12 * i), view.getUint32(136 + 12 * i));
  // A profile with look-up tables is rendered by those, whatever its matrix says.
  if (tags.has('A2B0')) return false;
  for (const [tag, expected] of Object.entries(PRIMARIES)) {
    const at = tags.get(tag);
    if (at === undefined || textAt(view, at) !== 'XYZ ') return false;
    for (let i = 0; i < 3; i++)
      if (Math.abs(fixedAt(view, at + 8 + 4 * i) - expected[i]!) > MATRIX_TOLERANCE) return false;
  }
  return CURVES.every((tag) => {
    const at = tags.get(tag);
    const curve = at === undefined ? undefined : curveAt(view, at);
    if (!curve) return false;
    for (let i = 0; i <= 32; i++)
      if (Math.abs(curve(i / 32) - srgbToLinear(i / 32)) > CURVE_TOLERANCE) return false;
    return true;
  });
}

/** A tone curve of type `curv` or `para`, 0..1 -> 0..1. */
function curveAt(view: DataView, at: number): ((x: number) => number) | undefined {
  const type = textAt(view, at);
  if (type === 'curv') {
    const count = view.getUint32(at + 8);
    if (count === 0) return (x) => x;
    if (count === 1) {
      const gamma = view.getUint16(at + 12) / 256;
      return (x) => x ** gamma;
    }
    return (x) => {
      const position = x * (count - 1);
      const index = Math.min(count - 2, Math.floor(position));
      const low = view.getUint16(at + 12 + 2 * index);
      const high = view.getUint16(at + 14 + 2 * index);
      return (low + (high - low) * (position - index)) / 65535;
    };
  }
  if (type !== 'para') return undefined;
  const kind = view.getUint16(at + 8);
  const parameter = (i: number) => fixedAt(view, at + 12 + 4 * i);
  const gamma = parameter(0);
  if (kind === 0) return (x) => x ** gamma;
  if (kind !== 3 && kind !== 4) return undefined;
  const [a, b, c, d] = [parameter(1), parameter(2), parameter(3), parameter(4)];
  const [e, f] = kind === 4 ? [parameter(5), parameter(6)] : [0, 0];
  return (x) => (x >= d ? (a * x + b) ** gamma + e : c * x + f);
}

/** IEC 61966-2-1. */
function srgbToLinear(x: number): number {
  return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
}

function fixedAt(view: DataView, at: number): number {
  return view.getInt32(at) / 65536;
}

function textAt(view: DataView, at: number): string {
  return String.fromCharCode(
    view.getUint8(at),
    view.getUint8(at + 1),
    view.getUint8(at + 2),
    view.getUint8(at + 3),
  );
}
