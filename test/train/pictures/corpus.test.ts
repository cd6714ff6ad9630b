import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cropOf, cutPieces } from '../../../src/train/pictures/corpus.ts';
import { seededRandom } from '../../../src/train/random.ts';

let folder: string;
const path = (name: string) => join(folder, name);
const flat = (width: number, height: number, channels: 3 | 4) =>
  sharp({ create: { width, height, channels, background: { r: 10, g: 20, b: 30, alpha: 1 } } });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-corpus-'));
  await flat(1600, 1100, 3).png().toFile(path('large.png'));
  await flat(300, 280, 4).png().toFile(path('alpha.png'));
  await flat(300, 300, 3).toColourspace('b-w').png().toFile(path('gray.png'));
  await flat(100, 900, 3).png().toFile(path('narrow.png'));
  await sharp({ create: { width: 300, height: 300, channels: 3, background: { r: 255, g: 0, b: 128 } } })
    .toColourspace('rgb16')
    .png()
    .toFile(path('deep.png'));
  await writeFile(path('broken.png'), 'no image');
});
afterAll(() => rm(folder, { recursive: true }));

const cut = (names: readonly string[], skipped: string[] = [], maxBytes?: number) =>
  cutPieces(names.map(path), {
    smallest: 256,
    random: seededRandom(1),
    onSkip: (why) => skipped.push(why),
    ...(maxBytes !== undefined && { maxBytes }),
  });

it('cuts as many pieces as a picture has room for', async () => {
  const { pieces, pictures } = await cut(['large.png']);
  expect(pictures).toBe(1);
  expect(pieces.map(({ width, height }) => [width, height])).toEqual(new Array(7).fill([512, 512]));
  expect([...pieces[0]!.data.subarray(0, 3)]).toEqual([10, 20, 30]);
});

it('takes RGB of 8 bits from whatever a picture has', async () => {
  const [alpha, gray, deep] = (await cut(['alpha.png', 'gray.png', 'deep.png'])).pieces;
  const sizes = [alpha, gray, deep].map((piece) => piece!.data.length / piece!.width / piece!.height);
  expect(sizes).toEqual([3, 3, 3]);
  const first = [alpha, gray, deep].map((piece) => [...piece!.data.subarray(0, 3)].join(' '));
  expect(first).toContain('10 20 30');
  expect(first).toContain('255 0 128');
});

it('leaves out what is too small or no image, and says so', async () => {
  const skipped: string[] = [];
  const { pieces, pictures } = await cut(['narrow.png', 'broken.png', 'gray.png'], skipped);
  expect([pieces.length, pictures]).toEqual([1, 1]);
  expect(skipped.sort()).toEqual([
    expect.stringMatching(/^\S+broken\.png: not an image/),
    expect.stringMatching(/^\S+narrow\.png: is 100 x 900, and training needs 256/),
  ]);
});

it('sees colors under full transparency as the codec codes them', async () => {
  const [width, height] = [300, 256];
  const data = Uint8Array.from({ length: width * height * 4 }, (_, i) => {
    const shows = Math.floor(i / 4) % width < 150;
    return (shows ? [10, 20, 30, 255] : [255, 0, 0, 0])[i % 4]!;
  });
  await sharp(data, { raw: { width, height, channels: 4 } })
    .png()
    .toFile(path('hidden.png'));
  const [piece] = (await cut(['hidden.png'])).pieces;
  expect(new Set(piece!.data)).toEqual(new Set([10, 20, 30]));
});

it('stops within a picture', async () => {
  const controller = new AbortController();
  const stopped = cutPieces([path('large.png')], {
    smallest: 256,
    random: seededRandom(1),
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('stop')),
  });
  await expect(stopped).rejects.toThrow('stop');
});

it('stays within its memory', async () => {
  const { pieces } = await cut(['large.png', 'large.png', 'large.png'], [], 3 * 512 * 512 * 4);
  expect(pieces).toHaveLength(3);
});

it('turns crops in all eight ways', () => {
  const data = Uint8Array.from({ length: 2 * 2 * 3 }, (_, i) => Math.floor(i / 3));
  const random = seededRandom(5);
  const seen = new Set<string>();
  for (let i = 0; i < 200; i++)
    seen.add([...cropOf({ width: 2, height: 2, data }, 2, random)].filter((_, k) => k % 3 === 0).join(''));
  expect(seen.size).toBe(8);
});
