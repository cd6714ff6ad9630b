import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Engine, Patch, Rect } from '../../../src/engine/engine.ts';
import { withFallback } from '../../../src/engine/fallback.ts';
import { openReferenceEngine } from '../../../src/engine/reference/reference-engine.ts';
import { analysisStart } from '../../../src/engine/webgpu/analysis-start.ts';
import { openDevice } from '../../../src/engine/webgpu/device.ts';
import { DeviceChunks } from '../../../src/engine/webgpu/device-chunks.ts';
import { type Kernels, openKernels } from '../../../src/engine/webgpu/kernels.ts';
import { MOST_WINDOWS } from '../../../src/engine/webgpu/layer-run.ts';
import { adapterNames } from '../../../src/engine/webgpu/node-gpu.ts';
import { plainSpeed } from '../../../src/engine/webgpu/plain-speed.ts';
import {
  openWebGpuEngine,
  type WebGpuEngine,
  webGpuEngine,
} from '../../../src/engine/webgpu/webgpu-engine.ts';
import { EngineError } from '../../../src/errors.ts';
import { sampleAxis } from '../../../src/head/query.ts';
import { parseModel } from '../../../src/network/load.ts';
import { latentWindow } from '../../../src/network/window.ts';
import { collectGarbage } from '../../fixtures/collect-garbage.ts';
import { readIdleShaders } from '../../fixtures/idle-shaders.ts';
import { randomSource, tinyModelBytes } from '../../fixtures/tiny-model.ts';
import { decodeVector, expectedFindings } from '../../format/decode-vector.ts';
import { modelBytes, readVectors, type ValidVector } from '../../format/vector-files.ts';
import { runEngineTests } from '../conformance.ts';
import { openSwiftShader } from './swiftshader.ts';

const found = await openSwiftShader();
const gpu = typeof found === 'string' ? undefined : found;
const missing = typeof found === 'string' ? ` (${found})` : '';

/** Compiling for SwiftShader takes seconds: one device serves all tests, until the last destroys it. */
let kernels: Kernels;
beforeAll(async () => {
  if (gpu) kernels = await openKernels({ gpu, readAsset: (url) => readFile(url), software: true });
});
afterAll(() => kernels?.device.destroy());

describe.skipIf(gpu === undefined)(`the contract of engines, kept by webgpu${missing}`, () => {
  runEngineTests({
    // The vectors have others.
    qualities: [100],
    openEngine: async (of, cpu) =>
      webGpuEngine(of, kernels, {
        analysisStart,
        cpu,
        deviceChunks: DeviceChunks,
        chunksOn: 'device',
      }),
  });
});

const model = parseModel(tinyModelBytes({ seed: 3 }));
const reference = openReferenceEngine(model);
const level = { height: 5, width: 4 };
const whole = { top: 0, left: 0, height: 80, width: 64 };

describe.skipIf(gpu === undefined)(`the webgpu engine${missing}`, () => {
  let engine: WebGpuEngine;
  beforeAll(() => {
    engine = webGpuEngine(model, kernels, { analysisStart, cpu: reference, plainSpeed });
  });

  it('measures what plain kernels reach on its device', async () => {
    const { gigaMacs, copyGigabytes } = await engine.plainSpeed!();
    expect(gigaMacs).toBeGreaterThan(0);
    expect(copyGigabytes).toBeGreaterThan(0);
    await expect(engine.plainSpeed!(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  });

  it('makes large windows band by band, with the same bytes', async () => {
    const latents = randomLatents(whole, 5);
    const small = webGpuEngine(model, kernels, {
      analysisStart,
      cpu: reference,
      maxScratchBytes: 60_000,
      maxFreeBytes: 0,
    });
    const expected = await engine.features(latents, level, whole, 50);
    const made = await small.features(latents, level, whole, 50);
    expectEqual(await made.read(), await expected.read());
    expect(small.deviceBytes).toBeLessThan(engine.deviceBytes);
    for (const map of [expected, made]) map.close();
    await small.close();
  });

  describe('with the models of vectors', () => {
    const engines = new Map<string, WebGpuEngine>();
    const engineFor = (name: string) => {
      const known = engines.get(name);
      if (known) return known;
      const of = parseModel(modelBytes(name));
      const cpu = openReferenceEngine(of);
      const options = { analysisStart, cpu, deviceChunks: DeviceChunks, chunksOn: 'device' } as const;
      const opened = webGpuEngine(of, kernels, options);
      engines.set(name, opened);
      return opened;
    };
    afterAll(async () => {
      for (const engine of engines.values()) await engine.close();
    });

    // Not those of the container and of the tables of symbols, which are not the device's. All of them: npm
    // run vectors:check -- --engine webgpu --software
    it.each(
      readVectors<ValidVector>('valid').filter(
        ({ name, model, bytes }) =>
          model !== 'liif-1.safetensors' && bytes.length < 1000 && !/section|header|bypass|table/.test(name),
      ),
    )('decodes vector $name', async (vector) => {
      expect(await decodeVector(vector, engineFor(vector.model))).toEqual(expectedFindings(vector));
    });
  });

  it('leaves chunks to the processor where its threads are faster, or the graphics card is none', async () => {
    const chunk = { height: 1, width: 1 };
    const analysis = new Int16Array(model.latentChannels);
    const coded: string[] = [];
    const cpuOf = (threads: number): Engine => ({
      ...reference,
      threads,
      encodeChunk: (...call) => {
        coded.push(`${threads} threads`);
        return reference.encodeChunk(...call);
      },
    });
    const card = { ...kernels, software: false };
    for (const [on, threads] of [
      [kernels, 2],
      [card, 2],
      [card, 4],
      [card, 5],
    ] as const) {
      const other = webGpuEngine(model, on, {
        analysisStart,
        cpu: cpuOf(threads),
        deviceChunks: DeviceChunks,
      });
      expect(await other.encodeChunk(analysis, chunk, 50)).toEqual(
        await reference.encodeChunk(analysis, chunk, 50),
      );
      await other.close();
    }
    expect(coded).toEqual(['2 threads', '5 threads']);
  });

  it('gathers the networks of many chunks into few submissions', async () => {
    const chunk = { height: 8, width: 8 };
    const submit = vi.spyOn(kernels.device.queue, 'submit');
    const other = webGpuEngine(model, kernels, {
      analysisStart,
      cpu: reference,
      deviceChunks: DeviceChunks,
      chunksOn: 'device',
    });
    const analyses = Array.from({ length: 8 }, (_, i) =>
      randomInt16(chunk.height * chunk.width * model.latentChannels, 18_000, i),
    );
    const expected = await Promise.all(analyses.map((one) => reference.encodeChunk(one, chunk, 50)));
    const made = await Promise.all(analyses.map((one) => other.encodeChunk(one, chunk, 50)));
    for (const [i, { bytes, latents }] of expected.entries()) {
      expectEqual(made[i]!.bytes, bytes);
      expectEqual(made[i]!.latents, latents);
    }
    // Six networks of each chunk.
    expect(submit.mock.calls.length).toBeLessThan(30);
    submit.mockRestore();
    await other.close();
  });

  it('leaks no device memory over 1,000 tiles', async () => {
    const sites = { top: 0, left: 0, height: 16, width: 16 };
    const latents = randomLatents(sites, 7);
    const query = {
      rows: sampleAxis(0, 15, 8, 1n, 80),
      columns: sampleAxis(0, 15, 8, 1n, 64),
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

  it('keeps nothing of what it has waited for while the device lives', async () => {
    const waited = async () => new WeakRef(await kernels.unlessLost(Promise.resolve({})));
    const results = await Promise.all(Array.from({ length: 20 }, waited));
    await vi.waitFor(() => {
      collectGarbage();
      expect(results.filter((result) => result.deref() !== undefined)).toHaveLength(0);
    });
  });

  it('makes sixteen windows that are asked for together in one go, wherever they lie', async () => {
    const different = [
      { sites: whole, quality: 50 },
      { sites: { top: 0, left: 0, height: 16, width: 16 }, quality: 1 },
      { sites: { top: 37, left: 11, height: 20, width: 30 }, quality: 100 },
      { sites: { top: 79, left: 0, height: 1, width: 64 }, quality: 50 },
      { sites: { top: 5, left: 63, height: 70, width: 1 }, quality: 50 },
    ];
    const windows = Array.from({ length: 2 + MOST_WINDOWS }, (_, i) => {
      const window = different[i % different.length]!;
      return { ...window, latents: randomLatents(window.sites, 30 + i) };
    });
    const submit = vi.spyOn(kernels.device.queue, 'submit');
    const maps = await Promise.all(
      windows.map(({ latents, sites, quality }) => engine.features(latents, level, sites, quality)),
    );
    expect(submit).toHaveBeenCalledTimes(2);
    submit.mockRestore();
    for (const [i, { latents, sites, quality }] of windows.entries()) {
      const expected = await reference.features(latents, level, sites, quality);
      expectEqual(await maps[i]!.read(), await expected.read());
    }
    for (const map of maps) map.close();
  });

  it('makes one by one what together would be too much, in the scratch memory of one', async () => {
    const latents = Array.from({ length: 8 }, (_, i) => randomLatents(whole, 20 + i));
    const features = latents.map((one) => reference.features(one, level, whole, 50));
    const expected = await Promise.all(features.map(async (map) => (await map).read()));
    // Size classes round up.
    const most = 1.25 * expected[0]!.byteLength;
    for (const limit of [{ maxScratchBytes: 300_000 }, { maxBytes: 600_000 + 8 * most }]) {
      const other = webGpuEngine(model, kernels, { analysisStart, cpu: reference, ...limit });
      const make = (one: Patch) => other.features(one, level, whole, 50);
      (await make(latents[0]!)).close();
      const ofOne = other.deviceBytes;
      const made = await Promise.all(latents.map(make));
      expect(other.deviceBytes - ofOne).toBeLessThanOrEqual(7 * most);
      for (const [i, map] of made.entries()) expectEqual(await map.read(), expected[i]!);
      await other.close();
    }
  });

  it('stops when it is told to, and keeps nothing of what it began', async () => {
    const sites = whole;
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
    const small = webGpuEngine(model, kernels, { analysisStart, cpu: reference, maxBytes: 300_000 });
    await expect(small.features(randomLatents(whole, 1), level, whole, 50)).rejects.toThrow(EngineError);
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
      rows: sampleAxis(16, 47, 40, 1n, 80),
      columns: sampleAxis(16, 47, 40, 1n, 64),
      depth: 8,
    } as const;

    it('makes elsewhere what the device has no room for, and goes on with the device', async () => {
      const warnings: string[] = [];
      const first = webGpuEngine(model, kernels, { analysisStart, cpu: reference, maxBytes: 300_000 });
      const both = withFallback(first, openReferenceEngine(model), (message) => warnings.push(message));
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

    // The last of all that need the device.
    it('loses no call when the device is lost in the middle of work, and warns once', async () => {
      const warnings: string[] = [];
      const first = webGpuEngine(model, kernels, { analysisStart, cpu: reference });
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
      setTimeout(() => kernels.device.destroy(), 25);
      for (const samples of await Promise.all(work)) expectEqual(samples, wanted!);
      expectEqual((await both.pixels(early, [query]))[0]!, wanted!);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain('the reference engine stands in');
      await both.close();
      await expect(both.pixels(early, [query])).rejects.toThrow(EngineError);
    });
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

  it.skipIf(gpu === undefined)(`finds adapters by name, each once${missing}`, async () => {
    expect(await adapterNames()).toEqual([expect.stringContaining('SwiftShader')]);
  });

  it.skipIf(gpu === undefined)(`refuses software unless it is asked for${missing}`, async () => {
    await expect(openDevice(gpu)).rejects.toThrow(/only a software adapter .*SwiftShader/);
  });

  it.skipIf(gpu === undefined)(`lets go of it where the engine cannot be made${missing}`, async () => {
    const devices: GPUDevice[] = [];
    const watched = {
      async requestAdapter() {
        const adapter = (await gpu!.requestAdapter())!;
        const requestDevice = async (...call: Parameters<GPUAdapter['requestDevice']>) => {
          devices.push(await adapter.requestDevice(...call));
          return devices.at(-1)!;
        };
        return new Proxy(adapter, {
          get: (target, name) =>
            name === 'requestDevice' ? requestDevice : Reflect.get(target, name, target),
        });
      },
    } as unknown as GPU;
    const deviceChunks = {
      layersOf() {
        throw new EngineError('no room for the weights');
      },
    } as unknown as typeof DeviceChunks;
    const opening = openWebGpuEngine(model, {
      gpu: watched,
      readAsset: readIdleShaders,
      software: true,
      cpu: reference,
      deviceChunks,
      chunksOn: 'device',
    });
    await expect(opening).rejects.toThrow('no room for the weights');
    expect(devices).toHaveLength(1);
    expect((await devices[0]!.lost).reason).toBe('destroyed');
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
