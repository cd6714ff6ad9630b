import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { type EncodeOptions, encodeImage } from '../../src/encode.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import type { Raster } from '../../src/image/raster.ts';
import { loadModel } from '../../src/network/load.ts';
import { memorySource } from '../../src/reader/memory-source.ts';
import { openReader } from '../../src/reader/reader.ts';
import { python } from './python.ts';
import { modelBytes, VECTORS } from './vector-files.ts';

/**
 * `npm run vectors`: encodes the vectors of the released model, if the model has changed. Then
 * format-spec/reference/vector_maker writes all other files and every expected value. Fails and changes
 * nothing if a valid vector would change without a new model or version.
 */

const root = fileURLToPath(new URL('../..', import.meta.url));
const ORIGINALS = join(root, 'samples/originals');
const RELEASED = 'liif-1.safetensors';

interface Sample extends EncodeOptions {
  readonly name: string;
  readonly original: string;
  /** Left, top, width, height. */
  readonly crop: readonly [number, number, number, number];
  readonly kind?: 'grey' | 'alpha' | '16 bits' | 'display-p3';
}

const SAMPLES: readonly Sample[] = [
  { name: 'photograph', original: 'strawberries.jpg', crop: [140, 180, 60, 44], quality: 60 },
  { name: 'quality-1', original: 'alpacas.jpg', crop: [280, 70, 48, 40], quality: 1 },
  { name: 'quality-100', original: 'plan.jpg', crop: [260, 50, 40, 48], quality: 100 },
  { name: 'grey', original: 'fiat.jpg', crop: [300, 310, 33, 47], quality: 40, kind: 'grey' },
  {
    name: 'alpha-and-overview',
    original: 'squirrel.png',
    crop: [0, 150, 50, 36],
    quality: 75,
    kind: 'alpha',
    overviews: 1,
    overviewFactor: 2,
  },
  { name: '16-bits', original: 'alpacas.jpg', crop: [100, 300, 31, 30], quality: 90, kind: '16 bits' },
  {
    name: 'chunks',
    original: 'strawberries.jpg',
    crop: [60, 200, 150, 20],
    quality: 50,
    chunkSize: 8,
    optimize: false,
  },
  {
    name: 'display-p3',
    original: 'strawberries.jpg',
    crop: [200, 220, 40, 32],
    quality: 70,
    kind: 'display-p3',
  },
];

async function cropOf({ original, crop, kind }: Sample): Promise<Raster> {
  const [left, top, width, height] = crop;
  const image = sharp(join(ORIGINALS, original)).removeAlpha().toColorspace('srgb');
  const rgb = new Uint8Array(await image.extract({ left, top, width, height }).raw().toBuffer());
  const pixels = width * height;
  if (kind === 'grey')
    return {
      width,
      height,
      channels: 1,
      data: Uint8Array.from({ length: pixels }, (_, i) => rgb[3 * i + 1]!),
    };
  if (kind === 'alpha') {
    // Opaque in the middle, clear at the corners.
    const alpha = (i: number) => {
      const [x, y] = [(i % width) - width / 2, Math.floor(i / width) - height / 2];
      return Math.max(0, Math.min(255, 420 - Math.round((x * x + y * y) * 0.9)));
    };
    const data = Uint8Array.from({ length: pixels * 4 }, (_, i) =>
      i % 4 === 3 ? alpha(i >> 2) : rgb[3 * (i >> 2) + (i % 4)]!,
    );
    return { width, height, channels: 4, data };
  }
  if (kind === '16 bits')
    return { width, height, channels: 3, data: Uint16Array.from(rgb, (value, i) => value * 257 + (i % 5)) };
  // Samples that would be more colorful there.
  return { width, height, channels: 3, data: rgb, ...(kind === 'display-p3' && { colorSpace: kind }) };
}

const engine = openReferenceEngine(await loadModel(modelBytes(RELEASED)));
const folder = join(VECTORS, 'valid');
const stale = new Set(readdirSync(folder).filter((file) => file.startsWith('released-')));
for (const sample of SAMPLES) {
  const file = `released-${sample.name}.liif`;
  if (stale.has(file)) {
    const { header } = await openReader(memorySource(readFileSync(join(folder, file))));
    if (Buffer.from(header.model).toString('hex') === engine.model.hash) {
      stale.delete(file);
      stale.delete(file.replace('.liif', '.json'));
      continue;
    }
  }
  const { name, original, crop, kind, ...options } = sample;
  console.log(`${file}: ${original} at ${crop}`);
  writeFileSync(join(folder, file), await encodeImage(engine, await cropOf(sample), options));
  stale.delete(file);
}
for (const file of stale) rmSync(join(folder, file));

if (python === undefined) throw new Error('python3 3.11 with numpy is needed for the expected values');
const { status } = spawnSync(python, [join(root, 'format-spec/reference/vector_maker')], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
