/**
 * What an ICC profile says of the colors of an image, as far as the codec has to know. ICC.1:2022, chapters
 * 7, 9 and 10.
 */
import { COLOR_SPACES, type ColorSpace } from '../../color-space.ts';
import { textAt } from '../metadata/parts.ts';
import { type Curve, FROM_XYZ, hasPrimariesOf, type Matrix, type Shaper } from './shaper.ts';
import { linearOf } from './to-srgb.ts';

export interface ProfiledColors {
  /**
   * Set where the profile describes exactly this color space, so that samples need no conversion and lose
   * nothing.
   */
  readonly colorSpace?: ColorSpace;
  /** Whether its primaries lie beyond those of sRGB. */
  readonly wide: boolean;
}

/** Kinds of profiles that say what samples of a device mean: of scanners, screens, printers, color spaces. */
const CLASSES = ['scnr', 'mntr', 'prtr', 'spac'];
/** Readers do not understand version 5 (ICC.2). */
const MAX_VERSION = 4;
/** Most values of a curve, as in other readers. */
const MAX_CURVE = 0x7fff;
const COLUMNS = ['rXYZ', 'gXYZ', 'bXYZ'];
const CURVES = ['rTRC', 'gTRC', 'bTRC'];
/**
 * A primary is wide if it needs less than this of a primary of sRGB: Display P3 has -0.22, Adobe RGB -0.4,
 * old screens -0.08, near-sRGB profiles less.
 */
const BEYOND_SRGB = -0.12;
/** In linear light; a gamma of 2.2 differs by 0.008. */
const CURVE_TOLERANCE = 0.0015;

/** The colors of a profile that `shaperOf` has read; without one, neither a color space nor wide. */
export function profiledColors(shaper: Shaper | undefined): ProfiledColors {
  if (shaper === undefined) return { wide: false };
  const { curves, columns } = shaper;
  const curved = curves.every(isCurveOfSrgb);
  if (columns === undefined) return { wide: false, ...(curved && { colorSpace: 'srgb' }) };
  const wide = columns.some((xyz) =>
    FROM_XYZ.srgb.some((row) => row[0] * xyz[0] + row[1] * xyz[1] + row[2] * xyz[2] < BEYOND_SRGB),
  );
  const colorSpace = COLOR_SPACES.find((space) => curved && hasPrimariesOf(space, columns));
  return { wide, ...(colorSpace && { colorSpace }) };
}

/**
 * Reads a profile of curves and a matrix; undefined for profiles with look-up tables, of other kinds, and
 * damaged ones.
 */
export function shaperOf(icc: Uint8Array): Shaper | undefined {
  try {
    return readShaper(new DataView(icc.buffer, icc.byteOffset, icc.length));
  } catch (error) {
    if (error instanceof RangeError) return undefined; // an offset beyond the end
    throw error;
  }
}

function readShaper(view: DataView): Shaper | undefined {
  if (textAt(view, 36) !== 'acsp' || view.getUint8(8) > MAX_VERSION) return undefined;
  if (!CLASSES.includes(textAt(view, 12)) || textAt(view, 20) !== 'XYZ ') return undefined;
  const tags = tagsOf(view);
  // A profile with look-up tables is rendered by those, whatever its matrix says.
  if (tags.has('A2B0')) return undefined;
  const curvesAt = (names: readonly string[]) => {
    const curves = names.map((name) => tags.has(name) && curveAt(view, tags.get(name)!));
    return curves.every((curve) => typeof curve === 'function') ? curves : undefined;
  };
  switch (textAt(view, 16)) {
    case 'GRAY': {
      const curves = curvesAt(['kTRC']);
      return curves && { curves };
    }
    case 'RGB ': {
      const curves = curvesAt(CURVES);
      if (!COLUMNS.every((name) => tags.has(name) && textAt(view, tags.get(name)!) === 'XYZ '))
        return undefined;
      const [red, green, blue] = COLUMNS.map((name) => tripleAt(view, tags.get(name)! + 8));
      return curves && { curves, columns: [red!, green!, blue!] };
    }
  }
  return undefined;
}

function tripleAt(view: DataView, at: number): Matrix[number] {
  return [fixedAt(view, at), fixedAt(view, at + 4), fixedAt(view, at + 8)];
}

/** Where the data of the tags of a profile begin. Throws RangeError where it ends early. */
export function tagsOf(profile: DataView): Map<string, number> {
  const tags = new Map<string, number>();
  for (let i = 0, count = Math.min(100, profile.getUint32(128)); i < count; i++)
    tags.set(textAt(profile, 132 + 12 * i), profile.getUint32(136 + 12 * i));
  return tags;
}

function isCurveOfSrgb(curve: Curve): boolean {
  for (let i = 0; i <= 32; i++)
    // A damaged curve may give no number.
    if (!(Math.abs(curve(i / 32) - linearOf(i / 32)) <= CURVE_TOLERANCE)) return false;
  return true;
}

/** A tone curve of type `curv` or `para`. */
function curveAt(view: DataView, at: number): Curve | undefined {
  const type = textAt(view, at);
  if (type === 'curv') return tabulated(view, at);
  return type === 'para' ? parametric(view, at) : undefined;
}

/** ICC.1, 10.6: nothing, a gamma, or values between which it is linear. */
function tabulated(view: DataView, at: number): Curve | undefined {
  const count = view.getUint32(at + 8);
  if (count === 0) return (x) => x;
  if (count === 1) {
    const gamma = view.getUint16(at + 12) / 256;
    return (x) => x ** gamma;
  }
  if (count > MAX_CURVE) return undefined;
  const values = Uint16Array.from({ length: count }, (_, i) => view.getUint16(at + 12 + 2 * i));
  return (x) => {
    const position = x * (count - 1);
    const index = Math.min(count - 2, Math.floor(position));
    const [low, high] = [values[index]!, values[index + 1]!];
    return (low + (high - low) * (position - index)) / 65535;
  };
}

/** How many numbers the kinds of ICC.1, 10.18, have: g; a, b; c; d or c; e, f. */
const PARAMETERS = [1, 3, 4, 5, 7];

function parametric(view: DataView, at: number): Curve | undefined {
  const kind = view.getUint16(at + 8);
  const count = PARAMETERS[kind];
  if (count === undefined) return undefined;
  const [g, a, b, c, d, e, f] = Array.from({ length: 7 }, (_, i) =>
    i < count ? fixedAt(view, at + 12 + 4 * i) : 0,
  ) as [number, number, number, number, number, number, number];
  if (kind === 0) return (x) => x ** g;
  if (kind <= 2) return (x) => (x >= -b / a ? (a * x + b) ** g + c : c);
  return (x) => (x >= d ? (a * x + b) ** g + e : c * x + f);
}

function fixedAt(view: DataView, at: number): number {
  return view.getInt32(at) / 65536;
}
