/** A display profile of three primaries and a gamma, as cameras and screens embed them. ICC.1:2001-04 (version 2). */
export function matrixProfile(
  primaries: readonly (readonly [number, number, number])[],
  gamma: number,
): Uint8Array {
  const text = (value: string) => [...Buffer.from(value, 'latin1')];
  const u32 = (value: number) => [
    (value >>> 24) & 255,
    (value >>> 16) & 255,
    (value >>> 8) & 255,
    value & 255,
  ];
  const fixed = (value: number) => u32(Math.round(value * 65536));
  const xyz = (value: readonly number[]) => [...text('XYZ '), ...u32(0), ...value.flatMap(fixed)];
  const curve = [
    ...text('curv'),
    ...u32(0),
    ...u32(1),
    Math.floor(gamma),
    Math.round((gamma % 1) * 256),
    0,
    0,
  ];
  const name = 'test\0';
  const tags: [string, number[]][] = [
    [
      'desc',
      [...text('desc'), ...u32(0), ...u32(name.length), ...text(name), ...new Array<number>(79).fill(0)],
    ],
    ['cprt', [...text('text'), ...u32(0), ...text(name)]],
    ['wtpt', xyz([0.9642, 1, 0.8249])],
    ['rXYZ', xyz(primaries[0]!)],
    ['gXYZ', xyz(primaries[1]!)],
    ['bXYZ', xyz(primaries[2]!)],
    ['rTRC', curve],
    ['gTRC', curve],
    ['bTRC', curve],
  ];
  const table: number[] = [];
  const data: number[] = [];
  for (const [signature, bytes] of tags) {
    while (data.length % 4) data.push(0);
    table.push(...text(signature), ...u32(132 + 12 * tags.length + data.length), ...u32(bytes.length));
    data.push(...bytes);
  }
  while (data.length % 4) data.push(0);
  const body = [...u32(tags.length), ...table, ...data];
  const header = [
    ...u32(128 + body.length),
    ...u32(0),
    ...u32(0x02100000),
    ...text('mntrRGB XYZ '),
    ...new Array<number>(12).fill(0),
    ...text('acsp'),
    ...new Array<number>(28).fill(0),
    ...[0.9642, 1, 0.8249].flatMap(fixed),
    ...new Array<number>(48).fill(0),
  ];
  return Uint8Array.from([...header, ...body]);
}

/** Primaries adapted to D50, as their profiles have them. */
export const ADOBE_RGB = [
  [0.60974, 0.31111, 0.01947],
  [0.20528, 0.62567, 0.06087],
  [0.14919, 0.06322, 0.74457],
] as const;
export const ADOBE_GAMMA = 563 / 256;
export const DISPLAY_P3 = [
  [0.51512, 0.2412, -0.00105],
  [0.29198, 0.69225, 0.04189],
  [0.1571, 0.06657, 0.78407],
] as const;

/** D50 XYZ -> linear sRGB. */
const TO_SRGB = [
  [3.1338561, -1.6168667, -0.4906146],
  [-0.9787684, 1.9161415, 0.033454],
  [0.0719453, -0.2289914, 1.4052427],
] as const;

/** What a color of such a profile is in sRGB, all 0..1, by the definitions: IEC 61966-2-1. */
export function toSrgb(
  color: readonly number[],
  primaries: readonly (readonly [number, number, number])[],
  gamma: number,
): number[] {
  const linear = color.map((value) => value ** gamma);
  const xyz = [0, 1, 2].map((i) => primaries.reduce((sum, primary, c) => sum + primary[i]! * linear[c]!, 0));
  return TO_SRGB.map((row) => {
    const value = Math.min(
      1,
      Math.max(
        0,
        row.reduce<number>((sum, weight, i) => sum + weight * xyz[i]!, 0),
      ),
    );
    return value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
  });
}
