import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Engine } from '../../../src/engine/engine.ts';
import { withFallback } from '../../../src/engine/fallback.ts';
import { openEngine } from '../../../src/engine/open-engine.ts';
import { openReferenceEngine } from '../../../src/engine/reference/reference-engine.ts';
import { openWebGpuApart } from '../../../src/engine/webgpu/apart.ts';
import { SharedSampleMemory } from '../../../src/engine/worker/shared-samples.ts';
import { sampleAxis } from '../../../src/head/query.ts';
import { parseModel } from '../../../src/network/load.ts';
import { root } from '../../built.ts';
import { tinyModelBytes } from '../../fixtures/tiny-model.ts';
import { MODELS, runEngineTests } from '../conformance.ts';
import { openSwiftShader } from './swiftshader.ts';

const fixture = vi.hoisted(
  () => (name: string) => new URL(`../../fixtures/${name}`, import.meta.url).pathname,
);
/** Threads of the engine that were begun, and the scripts that new ones load first. */
const begun = vi.hoisted(() => ({ threads: [] as Worker[], scripts: [fixture('seldom-polling.cjs')] }));
vi.mock('../../../src/start-worker.ts', async (original) => {
  const actual = await original<typeof import('../../../src/start-worker.ts')>();
  const { startWorker } = actual;
  const noted: typeof startWorker = (module, options) => {
    if (!module.href.endsWith('node-gpu-thread')) return startWorker(module, options);
    const required = begun.scripts.map((script) => `--require ${script}`).join(' ');
    const thread = startWorker(module, { ...options, env: { ...process.env, NODE_OPTIONS: required } });
    begun.threads.push(thread);
    return thread;
  };
  return { ...actual, startWorker: noted };
});

const found = await openSwiftShader();
const without = typeof found === 'string';
const missing = without ? ` (${found})` : '';

describe.skipIf(without)(`the contract of engines, kept by webgpu in a thread${missing}`, () => {
  const coded = vi.fn();
  runEngineTests({
    models: [MODELS[0]!],
    qualities: [100],
    openEngine: (of, cpu) => {
      const encodeChunk: Engine['encodeChunk'] = (...call) => {
        coded();
        return cpu.encodeChunk(...call);
      };
      return openWebGpuApart(of, { ...cpu, encodeChunk });
    },
  });

  it('leaves chunks to the caller’s engine, on a card that is none', () => {
    expect(coded).toHaveBeenCalled();
  });
});

const model = parseModel(tinyModelBytes({ seed: 3 }));
const level = { height: 5, width: 4 };
const sites = { top: 16, left: 0, height: 48, width: 48 };
const latents = {
  rect: { top: 0, left: 0, ...level },
  channels: model.latentChannels,
  data: Int16Array.from(
    { length: level.height * level.width * model.latentChannels },
    (_, i) => (i * 37) % 501,
  ),
};
const query = {
  rows: sampleAxis(16, 47, 40, 1n, 80),
  columns: sampleAxis(0, 47, 40, 1n, 64),
  depth: 8,
} as const;

async function tile(engine: Engine): Promise<Uint8Array> {
  const map = await engine.features(latents, level, sites, 50);
  try {
    return Uint8Array.from((await engine.pixels(map, [query]))[0]!);
  } finally {
    map.close();
  }
}

/** Resolves when the last thread has ended. */
async function ended(): Promise<void> {
  const thread = begun.threads.at(-1)!;
  if (thread.threadId !== -1) await once(thread, 'exit');
}

describe.skipIf(without)(`the thread of the webgpu engine${missing}`, () => {
  afterEach(() => {
    begun.scripts = [fixture('seldom-polling.cjs')];
    vi.unstubAllEnvs();
  });

  it.each(['lose the device', 'throw'])(
    'codes chunks where it is asked to, loses no call and warns once when told to %s in the middle of work',
    async (mishap) => {
      begun.scripts.push(fixture('gpu-mishaps.cjs'));
      vi.stubEnv('LIIF_GPU_CHUNKS', 'device');
      const reference = openReferenceEngine(model);
      const encodeChunk = vi.fn(reference.encodeChunk);
      const wanted = await tile(reference);
      const warnings: string[] = [];
      const apart = await openWebGpuApart(model, { ...reference, encodeChunk });
      const chunk = [new Int16Array(model.latentChannels), { height: 1, width: 1 }, 50] as const;
      expect(await apart.encodeChunk(...chunk)).toEqual(await reference.encodeChunk(...chunk));
      expect(encodeChunk).not.toHaveBeenCalled();
      const both = withFallback(apart, reference, (text) => warnings.push(text));
      expect(await tile(both)).toEqual(wanted);
      const early = await both.features(latents, level, sites, 50);
      expect(warnings).toEqual([]);
      const work = Array.from({ length: 12 }, async (_, i) => {
        await new Promise((resolve) => setTimeout(resolve, 5 * i));
        return tile(both);
      });
      setTimeout(() => begun.threads.at(-1)!.postMessage(mishap), 25);
      for (const samples of await Promise.all(work)) expect(samples).toEqual(wanted);
      expect(Uint8Array.from((await both.pixels(early, [query]))[0]!)).toEqual(wanted);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain('; the reference engine stands in');
      await both.close();
      await ended();
    },
  );

  it('keeps the process until the engine is closed, in the middle of work too, though an answer comes late, and is no more then', async () => {
    const engine = await openWebGpuApart(model, openReferenceEngine(model));
    const thread = begun.threads.at(-1)!;
    const exit = vi.fn();
    thread.on('exit', exit);
    const before = process.listenerCount('exit');
    const wanted = await tile(openReferenceEngine(model));
    const work = Array.from({ length: 30 }, () => tile(engine).catch((error) => error));
    await Promise.race(work);
    const letGo = vi.spyOn(thread, 'unref');
    // Other programs may leave the thread a fraction of the processors: its patience has no end.
    const patience = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(new AbortController().signal);
    const closed = engine.close();
    thread.emit('message', { kind: 'done', id: 1 });
    expect(letGo).not.toHaveBeenCalled();
    await closed;
    patience.mockRestore();
    expect(exit).toHaveBeenCalledExactlyOnceWith(0);
    expect(process.listenerCount('exit')).toBe(before - 1);
    const outcomes = await Promise.all(work);
    for (const outcome of outcomes)
      if (outcome instanceof Error) expect(outcome).toMatchObject({ _tag: 'EngineError' });
      else expect(outcome).toEqual(wanted);
    expect(outcomes.some((outcome) => outcome instanceof Error)).toBe(true);
    await engine.close();
  });

  it('ends where it finds no graphics card, and wasm stands in with one warning', async () => {
    vi.stubEnv('LIIF_GPU', 'Voodoo');
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const engine = await openEngine(model, { engine: 'webgpu', apart: true, threads: 1 });
    expect(engine.name).toBe('wasm');
    expect(warn.mock.calls).toEqual([[expect.stringMatching(/^WebGPU [\s\S]*; the wasm engine stands in$/)]]);
    warn.mockRestore();
    await ended();
    await engine.close();
  });

  it.each([
    ['idle', 5, ''],
    ['exit', 7, ''],
    ['throw', 1, 'nobody catches this'],
  ])('does not keep or break a process that ends by: %s', async (way, code, text) => {
    const scripts = ['seldom-polling.cjs', ...(way === 'idle' ? ['idle-shaders.cjs'] : [])];
    const required = scripts.map((script) => `--require ${fixture(script)}`).join(' ');
    const child = spawn(process.execPath, ['--import', 'tsx', fixture('gpu-life.ts'), way], {
      cwd: root,
      env: { ...process.env, NODE_OPTIONS: required },
    });
    let errors = '';
    child.stderr.on('data', (part) => {
      errors += part;
    });
    expect(await once(child, 'close')).toEqual([code, null]);
    expect(errors).toContain(text);
    expect(errors).not.toMatch(/FATAL|Promise not resolved/);
  });
});

describe('shared memory of samples', () => {
  const axis = (count: number) => ({
    index: new Int32Array(count),
    fraction: new Int16Array(count),
    cell: 4096,
  });
  const tile = { rows: axis(256), columns: axis(256), depth: 8 } as const;

  it('is used again once it was given back, not before', () => {
    const memory = new SharedSampleMemory();
    const [one, two] = [memory.take([tile])!, memory.take([tile])!];
    expect(two.buffer).not.toBe(one.buffer);
    memory.give(one);
    expect(memory.take([tile])!.buffer).toBe(one.buffer);
  });

  it('has a place of its own for each query', () => {
    const { views } = new SharedSampleMemory().take([tile, tile])!;
    views[0]!.fill(1);
    expect(views.map(({ length }) => length)).toEqual([196_608, 196_608]);
    expect(views[1]!.every((sample) => sample === 0)).toBe(true);
  });

  it('is not for samples of 16 bits or calls of many megabytes', () => {
    const memory = new SharedSampleMemory();
    expect(memory.take([{ ...tile, depth: 16 }])).toBeUndefined();
    expect(memory.take([{ ...tile, rows: axis(30_000) }])).toBeUndefined();
  });
});
