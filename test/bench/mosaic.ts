import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { readFile, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { root } from '../built.ts';

/** Where benchmarks keep pictures between runs. */
export const HOME = join(tmpdir(), 'liif-bench');
/** Side of a cell of a mosaic in pixels. */
export const CELL = 512;

/**
 * The sample pictures, turned, mirrored and recolored, so that no two cells are alike: columns x rows cells.
 */
export async function mosaic(columns: number, rows: number): Promise<Sharp> {
  const folder = join(root, 'samples/originals');
  const names = readdirSync(folder)
    .filter((name) => /\.(jpe?g|png)$/.test(name))
    .sort();
  const variants: Buffer[] = [];
  for (const name of names) {
    for (let turn = 0; turn < 8; turn++) {
      const turned = sharp(join(folder, name))
        .removeAlpha()
        .toColorspace('srgb')
        .rotate((turn % 4) * 90)
        .flop(turn >= 4);
      variants.push(await turned.resize(CELL, CELL, { fit: 'cover' }).raw().toBuffer());
    }
  }
  const width = columns * CELL;
  const data = Buffer.alloc(width * rows * CELL * 3);
  for (let i = 0; i < columns * rows; i++) {
    const cell = variants[(i * 7) % variants.length]!;
    const channels = [i % 3, (i + 1 + (Math.floor(i / 3) % 2)) % 3, (i + 2 - (Math.floor(i / 3) % 2)) % 3];
    const left = (i % columns) * CELL;
    const top = Math.floor(i / columns) * CELL;
    for (let y = 0; y < CELL; y++) {
      let o = ((top + y) * width + left) * 3;
      for (let x = 0, p = y * CELL * 3; x < CELL; x++, p += 3, o += 3)
        for (let c = 0; c < 3; c++) data[o + c] = cell[p + channels[c]!]!;
    }
  }
  return sharp(data, { raw: { width, height: rows * CELL, channels: 3 }, limitInputPixels: false });
}

/** Writes a file that is there as a whole, or not at all. */
export async function writeWhole(path: string, image: Sharp): Promise<void> {
  const written = path.replace(/(\.\w+)$/, '.writing$1');
  await image.toFile(written);
  await rename(written, path);
}

/** Stands for the released model in names of files that are encoded with it. */
export async function modelStamp(): Promise<string> {
  const model = await readFile(join(root, 'src/model/liif-1.safetensors'));
  return createHash('sha256').update(model).digest('hex').slice(0, 12);
}
