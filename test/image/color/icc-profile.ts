import { deflateSync } from 'node:zlib';
import crc32 from 'crc-32';
import sharp from 'sharp';
import type { ColorSpace } from '../../../src/color-space.ts';

const text = (value: string) => [...Buffer.from(value, 'latin1')];
const u32 = (value: number) => [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const fixed = (value: number) => u32(Math.round(value * 65536));
const xyz = (value: readonly number[]) => [...text('XYZ '), ...u32(0), ...value.flatMap(fixed)];

/**
 * Tone curves: by a gamma, by values of 16 bits, by a formula and its numbers. ICC.1:2022, 10.6 and 10.18.
 */
export const gammaCurve = (gamma: number) => [
  ...text('curv'),
  ...u32(0),
  ...u32(1),
  Math.floor(gamma),
  Math.round((gamma % 1) * 256),
  0,
  0,
];
export const tableCurve = (values: readonly number[]) => [
  ...text('curv'),
  ...u32(0),
  ...u32(values.length),
  ...values.flatMap((value) => [value >> 8, value & 255]),
];
export const formulaCurve = (kind: number, numbers: readonly number[]) => [
  ...text('para'),
  ...u32(0),
  0,
  kind,
  0,
  0,
  ...numbers.flatMap(fixed),
];

/**
 * A display profile of three primaries and a gamma, or a curve, as cameras and screens embed them.
 * ICC.1:2001-04 (version 2).
 */
export function matrixProfile(
  primaries: readonly (readonly [number, number, number])[],
  gamma: number | number[],
): Uint8Array {
  const curve = curveOf(gamma);
  return profileWith('RGB ', [
    ['rXYZ', xyz(primaries[0]!)],
    ['gXYZ', xyz(primaries[1]!)],
    ['bXYZ', xyz(primaries[2]!)],
    ['rTRC', curve],
    ['gTRC', curve],
    ['bTRC', curve],
  ]);
}

/** One of gray. */
export function grayProfile(gamma: number | number[]): Uint8Array {
  return profileWith('GRAY', [['kTRC', curveOf(gamma)]]);
}

const curveOf = (gamma: number | number[]) => (typeof gamma === 'number' ? gammaCurve(gamma) : gamma);

function profileWith(space: string, more: [string, number[]][]): Uint8Array {
  const name = 'test\0';
  const tags: [string, number[]][] = [
    [
      'desc',
      [...text('desc'), ...u32(0), ...u32(name.length), ...text(name), ...new Array<number>(79).fill(0)],
    ],
    ['cprt', [...text('text'), ...u32(0), ...text(name)]],
    ['wtpt', xyz([0.9642, 1, 0.8249])],
    ...more,
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
    ...text(`mntr${space}XYZ `),
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
export const PRO_PHOTO = [
  [0.79767, 0.28804, 0],
  [0.13519, 0.71188, 0],
  [0.03134, 0.00009, 0.82491],
] as const;
export const DISPLAY_P3 = [
  [0.51512, 0.2412, -0.00105],
  [0.29198, 0.69225, 0.04189],
  [0.1571, 0.06657, 0.78407],
] as const;

type Matrix = readonly (readonly [number, number, number])[];

/** D50 XYZ -> linear light of a color space. */
const FROM_XYZ: Readonly<Record<ColorSpace, Matrix>> = {
  srgb: [
    [3.1338561, -1.6168667, -0.4906146],
    [-0.9787684, 1.9161415, 0.033454],
    [0.0719453, -0.2289914, 1.4052427],
  ],
  'display-p3': [
    [2.4039841, -0.9899069, -0.3976415],
    [-0.8422229, 1.7988437, 0.0160354],
    [0.0482059, -0.0974068, 1.2740049],
  ],
};

/**
 * What a color of such a profile is in a color space, all 0..1, by the definitions: IEC 61966-2-1, SMPTE EG
 * 432-1.
 */
export function colorIn(
  space: ColorSpace,
  color: readonly number[],
  primaries: Matrix,
  gamma: number | 'srgb',
): number[] {
  const linear = color.map((value) => {
    if (gamma !== 'srgb') return value ** gamma;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  const xyz = [0, 1, 2].map((i) => primaries.reduce((sum, primary, c) => sum + primary[i]! * linear[c]!, 0));
  return FROM_XYZ[space].map((row) => {
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

/** A profile that libvips carries: `srgb`, `p3`. */
export async function builtInProfile(name: string): Promise<Uint8Array> {
  const pixel = { create: { width: 1, height: 1, channels: 3, background: '#000' } } as const;
  return (await sharp(await sharp(pixel).withIccProfile(name).png().toBuffer()).metadata()).icc!;
}

/** Puts a profile into a PNG, whose samples stay as they are. */
export function attachProfile(image: Uint8Array, icc: Uint8Array): Buffer {
  return withChunk(image, Buffer.concat([Buffer.from('iCCPicc\0\0', 'latin1'), deflateSync(icc)]));
}

/** A PNG with another chunk behind its header; `body`: type and data. */
export function withChunk(image: Uint8Array, body: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length - 4);
  const crc = Buffer.alloc(4);
  crc.writeInt32BE(crc32.buf(body));
  const cut = 33; // signature and IHDR
  return Buffer.concat([image.subarray(0, cut), length, body, crc, image.subarray(cut)]);
}
