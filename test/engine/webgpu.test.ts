import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openImage } from '../../src/decode.ts';
import type { Patch, Rect } from '../../src/engine/engine.ts';
import { withFallback } from '../../src/engine/fallback.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { openDevice } from '../../src/engine/webgpu/device.ts';
import { type Kernels, openKernels } from '../../src/engine/webgpu/kernels.ts';
import { plainSpeed } from '../../src/engine/webgpu/plain-speed.ts';
import { type WebGpuEngine, webGpuEngine } from '../../src/engine/webgpu/webgpu-engine.ts';
import { EngineError } from '../../src/errors.ts';
import { sampleAxis } from '../../src/head/query.ts';
import { parseModel } from '../../src/network/load.ts';
import { analysisWindow, latentWindow } from '../../src/network/window.ts';
import { randomSource, tinyModelBytes } from '../fixtures/tiny-model.ts';
import { exact, modelBytes, readVectors, type ValidVector } from '../format/vector-files.ts';
import { MODELS, runEngineTests } from './conformance.ts';
import { openSwiftShader } from './swiftshader.ts';

const found = await openSwiftShader();
const gpu = typeof found === 'string' ? undefined : found;
const missing = typeof found === 'string' ? ` (${found})` : '';

const model = parseModel(tinyModelBytes({ seed: 3 }));
const reference = openReferenceEngine(model);
const level = { height: 9, width: 7 };

describe.skipIf(gpu === undefined)(`the webgpu engine${missing}`, () => {
  let kernels: Kernels;
  let engine: WebGpuEngine;
  const vectorEngines = new Map<string, WebGpuEngine>();
  beforeAll(async () => {
    kernels = await open();
    engine = webGpuEngine(model, kernels, { cpu: reference, plainSpeed });
    for (const name of ['small.safetensors', 'edge.safetensors']) {
      const other = parseModel(modelBytes(name));
      vectorEngines.set(name, webGpuEngine(other, kernels, { cpu: openReferenceEngine(other) }));
    }
  });
  afterAll(() => kernels.device.destroy());

  it.each<[string, Rect]>([
    ['of a whole level', { top: 0, left: 0, height: 144, width: 112 }],
    ['at the upper left border', { top: 0, left: 0, height: 21, width: 19 }],
    ['at the lower right border', { top: 99, left: 83, height: 45, width: 29 }],
    ['of one site', { top: 70, left: 50, height: 1, width: 1 }],
    ['in the middle, at odd places', { top: 37, left: 41, height: 33, width: 27 }],
  ])('makes the features %s as the reference does', async (_title, sites) => {
    for (const quality of [1, 100]) {
      const latents = randomLatents(sites, quality);
      const expected = await reference.features(latents, level, sites, quality);
      const made = await engine.features(latents, level, sites, quality);
      expect(made.rect).toEqual(sites);
      expect(made.level).toEqual({ height: 144, width: 112 });
      expectEqual(await made.read(), await expected.read());
      made.close();
    }
  });

  it('measures what plain kernels reach on its device', async () => {
    const { gigaMacs, copyGigabytes } = await engine.plainSpeed!();
    expect(gigaMacs).toBeGreaterThan(0);
    expect(copyGigabytes).toBeGreaterThan(0);
    await expect(engine.plainSpeed!(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  });

  it('makes large windows band by band, with the same bytes', async () => {
    const sites = { top: 0, left: 0, height: 144, width: 112 };
    const latents = randomLatents(sites, 5);
    const small = webGpuEngine(model, kernels, { cpu: reference, maxScratchBytes: 100_000 });
    const expected = await engine.features(latents, level, sites, 50);
    const made = await small.features(latents, level, sites, 50);
    expectEqual(await made.read(), await expected.read());
    expect(small.deviceBytes).toBeLessThan(engine.deviceBytes);
    for (const map of [expected, made]) map.close();
    await small.close();
  });

  it('analyzes as the reference does, odd sizes included', async () => {
    const picture = { height: 77, width: 50 };
    for (const latents of [
      { top: 0, left: 0, height: 5, width: 4 },
      { top: 2, left: 1, height: 2, width: 2 },
    ]) {
      const rect = analysisWindow(model, latents, picture);
      const pixels = { rect, channels: 3, data: randomInt16(rect.height * rect.width * 3, 8192, 9) };
      expectEqual(
        await engine.analyze(pixels, picture, latents, 40),
        await reference.analyze(pixels, picture, latents, 40),
      );
    }
  });

  it('renders any scale and depth, beyond the border too, many queries in one call', async () => {
    const sites = { top: 0, left: 0, height: 144, width: 112 };
    const latents = randomLatents(sites, 6);
    const expected = await reference.features(latents, level, sites, 60);
    const made = await engine.features(latents, level, sites, 60);
    const queries = [
      [0, 0, 112, 144, 112, 144],
      [-7, -9, 40, 40, 61, 33],
      [100, 130, 30, 30, 23, 64],
      [31, 17, 1, 1, 67, 65],
      [0, 0, 112, 144, 28, 36],
      [55, 70, 0.0625, 0.0625, 1, 1],
    ].flatMap(([x, y, width, height, columns, rows]) =>
      ([8, 16] as const).map((depth) => ({
        rows: sampleAxis(y!, height!, rows!, 1n, 144),
        columns: sampleAxis(x!, width!, columns!, 1n, 112),
        depth,
      })),
    );
    const wanted = await reference.pixels(expected, queries);
    const got = await engine.pixels(made, queries);
    expect(got).toHaveLength(wanted.length);
    for (const [i, samples] of got.entries()) {
      expect(samples.constructor).toBe(wanted[i]!.constructor);
      expectEqual(samples, wanted[i]!);
    }
    made.close();
  });

  it.each(
    readVectors<ValidVector>('valid').filter(
      ({ model, bytes }) => model !== 'liif-1.safetensors' && bytes.length < 1000,
    ),
  )('renders vector $name', async (vector) => {
    const image = await openImage(vector.bytes, { engine: vectorEngines.get(vector.model)! });
    for (const { region, size, depth, pixels } of vector.queries) {
      const [x, y, width, height] = region.map(exact) as [never, never, never, never];
      const raster = await image.render({
        region: { x, y, width, height },
        width: size[0],
        height: size[1],
        depth,
        allowOutside: true,
      });
      for (const [column, row, ...samples] of pixels) {
        const at = (row! * raster.width + column!) * raster.channels;
        expect([...raster.data.subarray(at, at + raster.channels)], `${region} at ${size}`).toEqual(samples);
      }
    }
    await image.close();
  });

  it('leaks no device memory over 1,000 tiles', async () => {
    const sites = { top: 0, left: 0, height: 16, width: 16 };
    const latents = randomLatents(sites, 7);
    const query = {
      rows: sampleAxis(0, 15, 8, 1n, 144),
      columns: sampleAxis(0, 15, 8, 1n, 112),
      depth: 8,
    } as const;
    const bytes: number[] = [];
    for (let i = 0; i < 25; i++) {
      const map = await engine.features(latents, level, sites, 50);
      await Promise.all(Array.from({ length: 40 }, () => engine.pixels(map, [query])));
      map.close();
      bytes.push(engine.deviceBytes);
    }
    expect(Math.max(...bytes.slice(5))).toBe(bytes[5]);
    expect(bytes.at(-1)).toBe(bytes[5]);
  });

  it('stops when it is told to, and keeps nothing of what it began', async () => {
    const sites = { top: 0, left: 0, height: 144, width: 112 };
    const before = engine.deviceBytes - engine.freeBytes;
    await expect(
      engine.features(randomLatents(sites, 8), level, sites, 50, AbortSignal.abort(new Error('enough'))),
    ).rejects.toThrow('enough');
    const controller = new AbortController();
    const begun = engine.features(randomLatents(sites, 8), level, sites, 50, controller.signal);
    controller.abort(new Error('no more'));
    await expect(begun).rejects.toThrow('no more');
    expect(engine.deviceBytes - engine.freeBytes).toBe(before);
  });

  it('refuses what goes beyond its memory, and works on', async () => {
    const small = webGpuEngine(model, kernels, { cpu: reference, maxBytes: 600_000 });
    const sites = { top: 0, left: 0, height: 144, width: 112 };
    await expect(small.features(randomLatents(sites, 1), level, sites, 50)).rejects.toThrow(EngineError);
    const corner = { top: 0, left: 0, height: 16, width: 16 };
    const map = await small.features(randomLatents(corner, 1), level, corner, 50);
    expect(map.byteLength).toBe(16 * 16 * model.head.hidden * 2);
    await small.close();
    await expect(map.read()).rejects.toThrow(EngineError);
  });

  describe('with another engine to fall back on', () => {
    const sites = { top: 16, left: 16, height: 48, width: 48 };
    const latents = randomLatents(sites, 11);
    const query = {
      rows: sampleAxis(16, 47, 40, 1n, 144),
      columns: sampleAxis(16, 47, 40, 1n, 112),
      depth: 8,
    } as const;

    it('loses no call when the device is lost in the middle of work, and warns once', async () => {
      const warnings: string[] = [];
      const own = await open();
      const first = webGpuEngine(model, own, { cpu: reference });
      const both = withFallback(first, openReferenceEngine(model), (message) => warnings.push(message));
      const early = await both.features(latents, level, sites, 50);
      const [wanted] = await both.pixels(early, [query]);
      const work = Array.from({ length: 12 }, async (_, i) => {
        await new Promise((resolve) => setTimeout(resolve, 5 * i));
        const map = await both.features(latents, level, sites, 50);
        const [samples] = await both.pixels(map, [query]);
        map.close();
        return samples!;
      });
      setTimeout(() => own.device.destroy(), 25);
      for (const samples of await Promise.all(work)) expectEqual(samples, wanted!);
      expectEqual((await both.pixels(early, [query]))[0]!, wanted!);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain('the reference engine stands in');
      await both.close();
      await expect(both.pixels(early, [query])).rejects.toThrow(EngineError);
    });

    it('makes elsewhere what the device has no room for, and goes on with the device', async () => {
      const warnings: string[] = [];
      const first = webGpuEngine(model, kernels, { cpu: reference, maxBytes: 600_000 });
      const both = withFallback(first, openReferenceEngine(model), (message) => warnings.push(message));
      const whole = { top: 0, left: 0, height: 144, width: 112 };
      const large = randomLatents(whole, 12);
      const map = await both.features(large, level, whole, 50);
      expectEqual(await map.read(), await (await reference.features(large, level, whole, 50)).read());
      const small = await both.features(latents, level, sites, 50);
      expect(first.deviceBytes - first.freeBytes).toBeGreaterThan(
        sites.height * sites.width * model.head.hidden * 2,
      );
      expect(await both.pixels(small, [query])).toHaveLength(1);
      expect(warnings).toHaveLength(1);
      await both.close();
    });
  });
});

describe.skipIf(gpu === undefined)(`the contract of engines, kept by webgpu${missing}`, () => {
  let kernels: Promise<Kernels> | undefined;
  afterAll(async () => (await kernels)?.device.destroy());
  runEngineTests({
    models: [MODELS[2]!],
    async openEngine(of) {
      kernels ??= open();
      return webGpuEngine(of, await kernels, { cpu: openReferenceEngine(of) });
    },
  });
});

describe('opening a device', () => {
  it('says so when there is no WebGPU', async () => {
    await expect(openDevice(undefined)).rejects.toThrow('WebGPU is not available here');
  });

  it('says so when no adapter is found', async () => {
    const none = { requestAdapter: async () => null } as unknown as GPU;
    await expect(openDevice(none)).rejects.toThrow('WebGPU finds no graphics adapter');
  });

  it.skipIf(gpu === undefined)(`refuses software unless it is asked for${missing}`, async () => {
    await expect(openDevice(gpu)).rejects.toThrow(/only a software adapter .*SwiftShader/);
  });

  it.skipIf(gpu === undefined)(`refuses an adapter of small limits${missing}`, async () => {
    for (const [name, value] of [
      ['maxComputeWorkgroupStorageSize', 8192],
      ['maxComputeInvocationsPerWorkgroup', 64],
      ['maxStorageBuffersPerShaderStage', 4],
      ['maxStorageBufferBindingSize', 65_536],
    ] as const) {
      await expect(openDevice(limited(gpu!, { [name]: value }), { software: true })).rejects.toThrow(
        String(value),
      );
    }
  });
});

function open(): Promise<Kernels> {
  return openKernels({ gpu, readAsset: (url) => readFile(url), software: true });
}

/** The same adapter with other limits. */
function limited(whole: GPU, changed: Record<string, number>): GPU {
  return {
    async requestAdapter() {
      const adapter = (await whole.requestAdapter())!;
      const limits = new Proxy(adapter.limits, {
        get: (target, name) => changed[name as string] ?? Reflect.get(target, name, target),
      });
      return { info: adapter.info, limits, requestDevice: () => adapter.requestDevice() };
    },
  } as unknown as GPU;
}

function randomLatents(sites: Rect, seed: number): Patch {
  const rect = latentWindow(model, sites, level);
  const channels = model.latentChannels;
  return { rect, channels, data: randomInt16(rect.height * rect.width * channels, 18_000, seed) };
}

function randomInt16(length: number, limit: number, seed: number): Int16Array {
  const random = randomSource(seed);
  return Int16Array.from({ length }, () => Math.round((2 * random() - 1) * limit));
}

function expectEqual(found: ArrayLike<number>, wanted: ArrayLike<number>): void {
  expect(found.length).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++)
    if (found[i] !== wanted[i])
      expect.fail(`element ${i} of ${wanted.length}: ${found[i]}, not ${wanted[i]}`);
}
