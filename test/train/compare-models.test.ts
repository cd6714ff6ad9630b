import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { decodeImage } from '../../src/decode.ts';
import { encodeImage } from '../../src/encode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { RequestError } from '../../src/errors.ts';
import type { Raster } from '../../src/image/raster.ts';
import { readImage } from '../../src/image/read.ts';
import { reduce } from '../../src/image/reduce.ts';
import { msSsim } from '../../src/metrics/ms-ssim.ts';
import { psnr } from '../../src/metrics/psnr.ts';
import { modelConvs } from '../../src/network/convs.ts';
import { loadModel } from '../../src/network/load.ts';
import type { Conv, Model } from '../../src/network/model.ts';
import { rewriteModel } from '../../src/network/write-model.ts';
import { compareModels } from '../../src/train/compare-models.ts';

/**
 * What was opened: to open an engine takes longer than most of these tests, so one of each model does the
 * work, whoever opens and closes it.
 */
const opened = vi.hoisted(() => [] as { readonly engine: Engine; closed: boolean }[]);
vi.mock('../../src/engine/open-engine.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/engine/open-engine.ts')>();
  const shared = new Map<Model, Promise<Engine>>();
  const recorded: typeof original.openEngine = async (model, options) => {
    options?.signal?.throwIfAborted();
    const opening = shared.get(model) ?? original.openEngine(model, { engine: 'wasm' });
    shared.set(model, opening);
    const entry = {
      engine: {
        ...(await opening),
        async close() {
          entry.closed = true;
        },
      },
      closed: false,
    };
    expect(options).toMatchObject({ mustBeExact: true });
    opened.push(entry);
    return entry.engine;
  };
  return { ...original, openEngine: recorded };
});
beforeEach(() => {
  opened.length = 0;
});

const file = await readFile(new URL('../../src/model/liif-1.safetensors', import.meta.url));
const base = await loadModel(file);
/** Their decoders have lost the last bits of their weights. */
const worse = await coarserModel(64);
const ruined = await coarserModel(4096);
const pictures = [await sample('tea.jpg', 113, 96), await sample('squirrel.png', 96, 96)];

async function coarserModel(coarse: number): Promise<Model> {
  const all = modelConvs<Conv>(base);
  const synthesis = new Set(
    modelConvs<Conv>({ ...base, analysis: [], hyperAnalysis: [], hyperSynthesis: [], prior: [] }),
  );
  const convs = all.map((conv) =>
    synthesis.has(conv) ? { ...conv, weight: conv.weight.map((w) => Math.round(w / coarse) * coarse) } : conv,
  );
  return loadModel(await rewriteModel(file, { name: 'coarse', convs }));
}

/** The middle of a sample. */
async function sample(name: string, width: number, height: number): Promise<Raster> {
  const path = fileURLToPath(new URL(`../../samples/originals/${name}`, import.meta.url));
  const { raster } = await readImage(path);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((y + 200) * raster.width + 200) * 3;
    data.set(raster.data.subarray(from, from + width * 3), y * width * 3);
  }
  return { width, height, channels: 3, data };
}

function expectClosed(count: number): void {
  expect(opened.map(({ closed }) => closed)).toEqual(Array(count).fill(true));
}

/** By PSNR and by MS-SSIM. */
const both = <T>(rate: T) => ({ psnr: rate, msSsim: rate });

describe('compareModels', () => {
  it('finds a model no better than itself, with the rates and PSNR of real files', async () => {
    const { points, ...rest } = await compareModels(base, base, pictures.slice(0, 1), {
      qualities: [20, 40, 60, 95],
    });
    expect(rest).toMatchObject({ pictures: 1, bdRate: both({ mean: 0, pictures: 1 }) });
    expect(points.map(({ quality }) => quality)).toEqual([20, 40, 60, 95]);
    for (const { base: before, tuned: after } of points) expect(after).toEqual(before);
    expect(rest.enlarged.tuned).toBe(rest.enlarged.base);
    expectClosed(2);

    const engine = await openEngine(base, { mustBeExact: true });
    try {
      const [picture] = pictures as [Raster];
      const bytes = await encodeImage(engine, picture, { quality: 60 });
      const decoded = await decodeImage(bytes, { engine });
      expect(points[2]!.base).toEqual({
        bitsPerPixel: (8 * bytes.length) / (113 * 96),
        psnr: psnr(picture, decoded),
        msSsim: -10 * Math.log10(1 - msSsim(picture, decoded).value),
      });
      // A side of 113 pixels: 57 at half, whose last one is half outside.
      const half = await encodeImage(engine, await reduce(picture, 2), { quality: 90 });
      const region = { x: 0, y: 0, width: 56.5, height: 48 };
      const enlarged = await decodeImage(half, { engine, region, width: 113, height: 96 });
      expect(rest.enlarged.base).toBe(psnr(picture, enlarged));
    } finally {
      await engine.close();
    }
  });

  it('sees that a model is worse, and that its enlargements are, over several pictures read one by one', async () => {
    const done: number[] = [];
    async function* read() {
      for (const picture of pictures) {
        expect(Math.floor(done.at(-1) ?? 0)).toBe(pictures.indexOf(picture));
        yield picture;
      }
    }
    const result = await compareModels(base, worse, read(), {
      onProgress: (pictures) => done.push(pictures),
    });
    expect(result.pictures).toBe(2);
    expect(result.points.map(({ quality }) => quality)).toEqual([20, 40, 60, 80, 95]);
    for (const { mean, pictures } of Object.values(result.bdRate)) {
      expect(pictures).toBe(2);
      expect(mean).toBeGreaterThan(0.01);
    }
    expect(result.enlarged.tuned).toBeLessThan(result.enlarged.base - 0.01);
    for (const point of result.points) {
      // Only the way from latents to pixels differs.
      expect(point.tuned.bitsPerPixel).toBe(point.base.bitsPerPixel);
      expect(point.tuned.psnr).toBeLessThan(point.base.psnr);
      expect(point.tuned.msSsim).toBeLessThan(point.base.msSsim!);
    }
    expect(done).toEqual(Array.from({ length: 24 }, (_, i) => expect.closeTo((i + 1) / 12, 9)));
    const reverse = await compareModels(worse, base, pictures);
    for (const { mean } of Object.values(reverse.bdRate)) expect(mean).toBeLessThan(-0.01);
    expect(reverse.enlarged).toEqual({ base: result.enlarged.tuned, tuned: result.enlarged.base });
  });

  it('does not leave out pictures that are worse at every quality than they were at any', async () => {
    const qualities = [60, 70, 80, 90];
    const lost = await compareModels(base, ruined, pictures.slice(1), { qualities });
    expect(lost.bdRate).toEqual(both({ mean: Number.POSITIVE_INFINITY, pictures: 1 }));
    const won = await compareModels(ruined, base, pictures.slice(1), { qualities });
    expect(won.bdRate).toEqual(both({ mean: -1, pictures: 1 }));
  });

  it('leaves pictures without a curve out of the BD-rate, and keeps means finite where one comes back unchanged', async () => {
    // Of a black pixel qualities 1 and 2 make the same, and 95 makes no error at all.
    const pixel: Raster = { width: 1, height: 1, channels: 1, data: Uint8Array.of(0) };
    const alone = await compareModels(base, worse, [pixel], { qualities: [1, 2, 3, 95] });
    expect(alone).toMatchObject({ pictures: 1, bdRate: both({ mean: undefined, pictures: 0 }) });
    expect(alone.points[3]!.base).toMatchObject({ psnr: 100, msSsim: undefined });
    const two = await compareModels(base, worse, [pixel, pictures[1]!], { qualities: [1, 2, 3, 95] });
    const other = await compareModels(base, worse, [pictures[1]!], { qualities: [1, 2, 3, 95] });
    expect(two).toMatchObject({ pictures: 2, bdRate: other.bdRate });
    for (const { pictures } of Object.values(two.bdRate)) expect(pictures).toBe(1);
    expect(two.points[0]!.base.msSsim).toBe(other.points[0]!.base.msSsim);
  });
});

describe('compareModels closes its engines', () => {
  it('when the pictures cannot be read', async () => {
    async function* failing() {
      yield pictures[1]!;
      throw new Error('the disk is gone');
    }
    const qualities = [10, 11, 12, 13];
    await expect(compareModels(base, worse, failing(), { qualities })).rejects.toThrow('the disk is gone');
    expectClosed(2);
  });

  it('when it is aborted within a picture', async () => {
    const controller = new AbortController();
    const result = compareModels(base, worse, pictures, {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    });
    await expect(result).rejects.toThrow('enough');
    expectClosed(2);
  });

  it('when it was aborted before it began', async () => {
    const controller = new AbortController();
    controller.abort(new Error('before it began'));
    const result = compareModels(base, worse, pictures, { signal: controller.signal });
    await expect(result).rejects.toThrow('before it began');
    expectClosed(opened.length);
  });
});

it('refuses too few qualities, the same one twice, and no pictures', async () => {
  await expect(compareModels(base, base, pictures, { qualities: [20, 40, 60] })).rejects.toThrow(
    RequestError,
  );
  await expect(compareModels(base, base, pictures, { qualities: [20, 40, 60, 60] })).rejects.toThrow(
    RequestError,
  );
  expect(opened).toHaveLength(0);
  await expect(compareModels(base, base, [])).rejects.toThrow(RequestError);
  expectClosed(2);
});
