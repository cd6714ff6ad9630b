/** What an ICC profile says of the colors of an image, as far as the codec has to know. ICC.1:2022, chapters 7, 9 and 10. */
import { COLOR_SPACES, type ColorSpace } from '../color-space.ts';
import { linearOf } from './to-srgb.ts';

export interface ProfiledColors {
  /** The color space that the profile says nothing but, so that samples need no conversion and lose nothing. */
  readonly colorSpace?: ColorSpace;
  /** Whether its primaries lie beyond those of sRGB. */
  readonly wide: boolean;
}

type Triple = readonly [number, number, number];

const COLUMNS = ['rXYZ', 'gXYZ', 'bXYZ'];
const CURVES = ['rTRC', 'gTRC', 'bTRC'];
/** Columns of their matrices, red, green and blue, adapted to D50. */
const PRIMARIES: Readonly<Record<ColorSpace, readonly [Triple, Triple, Triple]>> = {
  srgb: [
    [0.4361, 0.2225, 0.0139],
    [0.3851, 0.7169, 0.0971],
    [0.1431, 0.0606, 0.7141],
  ],
  'display-p3': [
    [0.5151, 0.2412, -0.0011],
    [0.2919, 0.6922, 0.0419],
    [0.1572, 0.0666, 0.7841],
  ],
};
/** D50 XYZ -> linear sRGB: the inverse of its columns. */
const TO_SRGB: readonly [Triple, Triple, Triple] = [
  [3.1339, -1.6169, -0.4906],
  [-0.9788, 1.9161, 0.0335],
  [0.0719, -0.229, 1.4052],
];
/** Less than nothing of one of sRGB's primaries: Display P3 has -0.22, Adobe RGB -0.4; old screens have -0.08, and those that are meant to be sRGB less. */
const BEYOND_SRGB = -0.12;
/** Profiles of different makers differ by some 0.0003; sRGB, Display P3 and Adobe RGB by 0.07 and more. */
const MATRIX_TOLERANCE = 0.002;
/** In linear light; a gamma of 2.2 differs by 0.008. */
const CURVE_TOLERANCE = 0.0015;

/** Neither a color space nor wide for anything that it does not understand. */
export function profiledColors(icc: Uint8Array): ProfiledColors {
  try {
    return colorsOf(new DataView(icc.buffer, icc.byteOffset, icc.length));
  } catch (error) {
    if (error instanceof RangeError) return { wide: false }; // an offset beyond the end
    throw error;
  }
}

function colorsOf(view: DataView): ProfiledColors {
  if (textAt(view, 16) !== 'RGB ' || textAt(view, 20) !== 'XYZ ') return { wide: false };
  const tags = tagsOf(view);
  // A profile with look-up tables is rendered by those, whatever its matrix says.
  if (tags.has('A2B0')) return { wide: false };
  const columns: number[][] = [];
  for (const tag of COLUMNS) {
    const at = tags.get(tag);
    if (at === undefined || textAt(view, at) !== 'XYZ ') return { wide: false };
    columns.push([0, 1, 2].map((i) => fixedAt(view, at + 8 + 4 * i)));
  }
  const wide = columns.some((xyz) =>
    TO_SRGB.some((row) => row[0] * xyz[0]! + row[1] * xyz[1]! + row[2] * xyz[2]! < BEYOND_SRGB),
  );
  const curved = CURVES.every((tag) => hasCurveOfSrgb(view, tags.get(tag)));
  const colorSpace = COLOR_SPACES.find(
    (space) =>
      curved &&
      PRIMARIES[space].every((column, i) =>
        column.every((value, j) => Math.abs(columns[i]![j]! - value) <= MATRIX_TOLERANCE),
      ),
  );
  return { wide, ...(colorSpace && { colorSpace }) };
}

/** Where the data of the tags of a profile begin. Throws RangeError where it ends early. */
export function tagsOf(profile: DataView): Map<string, number> {
  const tags = new Map<string, number>();
  for (let i = 0, count = Math.min(100, profile.getUint32(128)); i < count; i++)
    tags.set(textAt(profile, 132 + 12 * i), profile.getUint32(136 + 12 * i));
  return tags;
}

function hasCurveOfSrgb(view: DataView, at: number | undefined): boolean {
  const curve = at === undefined ? undefined : curveAt(view, at);
  if (!curve) return false;
  for (let i = 0; i <= 32; i++)
    // A damaged curve may give no number.
    if (!(Math.abs(curve(i / 32) - linearOf(i / 32)) <= CURVE_TOLERANCE)) return false;
  return true;
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

function fixedAt(view: DataView, at: number): number {
  return view.getInt32(at) / 65536;
}

/** Four characters, as kinds of tags and boxes are named. */
export function textAt(view: DataView, at: number): string {
  return String.fromCharCode(
    view.getUint8(at),
    view.getUint8(at + 1),
    view.getUint8(at + 2),
    view.getUint8(at + 3),
  );
}
