import { existsSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { child } from '../child.ts';
import type { Figure } from '../figures.ts';
import { CELL, HOME, modelStamp, mosaic, writeWhole } from '../mosaic.ts';
import { table } from '../table.ts';

const MEMORY_BAR = 1.5;
/** Largest share of the file that a region may read, without header and index. */
const READ_BAR = 0.03;
const REGION = 1024;

/** What `memory-child.ts` prints. */
export interface ChildReport {
  readonly peakBytes: number;
  readonly seconds: number;
  /** For each region, the bytes that are read after the file was opened. */
  readonly regionBytes?: readonly number[];
}

/**
 * Peak memory of a process that encodes a picture of `columns` x `rows` cells of 512 pixels from a tiled
 * TIFF, and of one that decodes regions of the file.
 */
export async function benchMemory(
  columns: number,
  rows: number,
): Promise<{ report: string[]; figures: Figure[] }> {
  await mkdir(HOME, { recursive: true });
  const tiff = join(HOME, `mosaic-${columns}x${rows}.tif`);
  if (!existsSync(tiff))
    await writeWhole(
      tiff,
      (await mosaic(columns, rows)).tiff({
        tile: true,
        tileWidth: 256,
        tileHeight: 256,
        compression: 'jpeg',
        quality: 92,
      }),
    );
  const file = join(HOME, `mosaic-${columns}x${rows}-${await modelStamp()}.liif`);
  const width = columns * CELL;
  const height = rows * CELL;

  const encode = await measured('encode', tiff, file);
  const { size } = await stat(file);
  const regions = someRegions(width, height);
  const decode = await measured(
    'regions',
    file,
    ...regions.map(({ x, y }) => `${x},${y},${REGION},${REGION}`),
  );
  const shares = decode.regionBytes!.map((bytes) => bytes / size);
  const mean = shares.reduce((a, b) => a + b, 0) / shares.length;
  const megapixels = `${((width * height) / 1e6).toFixed(0)} megapixels`;
  const gib = (bytes: number) => bytes / 2 ** 30;
  const region = `region of ${REGION} x ${REGION} of ${megapixels}`;
  return {
    report: [
      `${width} x ${height} pixels from a tiled TIFF (${((await stat(tiff)).size / 1e6).toFixed(0)} MB) to a file of ${(size / 1e6).toFixed(1)} MB, each in a process of its own, started through tsx.`,
      '',
      ...table(
        ['process', 'seconds', 'peak resident set'],
        [
          ['encode', encode.seconds.toFixed(1), `${gib(encode.peakBytes).toFixed(2)} GiB`],
          [
            `${regions.length} regions of ${REGION} x ${REGION}`,
            decode.seconds.toFixed(1),
            `${gib(decode.peakBytes).toFixed(2)} GiB`,
          ],
        ],
      ),
      '',
      `Share of the file that a region reads: ${shares.map((share) => `${(100 * share).toFixed(2)} %`).join(', ')} (the first is aligned with the chunks).`,
    ],
    figures: [
      {
        name: `encode ${megapixels}: peak memory`,
        value: gib(encode.peakBytes),
        unit: 'GiB',
        atMost: MEMORY_BAR,
      },
      { name: `encode ${megapixels}`, value: (width * height) / 1e6 / encode.seconds, unit: 'Mpixel/s' },
      { name: `${region}: peak memory`, value: gib(decode.peakBytes), unit: 'GiB', atMost: MEMORY_BAR },
      { name: `${region}: share of the file read, mean`, value: mean, unit: '', atMost: READ_BAR },
      { name: `${region}: share of the file read, most`, value: Math.max(...shares), unit: '' },
    ],
  };
}

/** Corners of regions: the first on chunk borders, the others anywhere. */
function someRegions(width: number, height: number): { x: number; y: number }[] {
  const places = [
    [0.31, 0.57],
    [0.618, 0.227],
    [0.079, 0.833],
    [0.743, 0.691],
    [0.452, 0.118],
    [0.166, 0.382],
    [0.887, 0.494],
  ] as const;
  const aligned = (side: number) => Math.floor(side / 2 / CELL) * CELL;
  return [
    { x: Math.min(aligned(width), width - REGION), y: Math.min(aligned(height), height - REGION) },
    ...places.map(([x, y]) => ({
      x: Math.floor(x * (width - REGION)),
      y: Math.floor(y * (height - REGION)),
    })),
  ];
}

/** Runs `memory-child.ts`. */
async function measured(...args: string[]): Promise<ChildReport> {
  return JSON.parse(await child(new URL('./memory-child.ts', import.meta.url), ...args).output);
}
