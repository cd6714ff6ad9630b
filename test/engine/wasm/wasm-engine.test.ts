import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { main as compile } from 'assemblyscript/asc';
import { describe, expect, it } from 'vitest';
import type { Engine, Extent, FeatureMap, Patch } from '../../../src/engine/engine.ts';
import { FreeList, WasmHeap } from '../../../src/engine/wasm/heap.ts';
import { HeapFeatures } from '../../../src/engine/wasm/heap-features.ts';
import { layersJob } from '../../../src/engine/wasm/jobs/layers-job.ts';
import { packNetworks } from '../../../src/engine/wasm/pack/pack.ts';
import type { Thread, WasmHost } from '../../../src/engine/wasm/threads/host.ts';
import { niceNodeHost, nodeHost } from '../../../src/engine/wasm/threads/node-host.ts';
import { openWasmEngine } from '../../../src/engine/wasm/wasm-engine.ts';
import { isLiifError } from '../../../src/errors.ts';
import { sampleAxis } from '../../../src/head/query.ts';
import { parseModel } from '../../../src/network/load.ts';
import { scaledExtent, whole } from '../../../src/network/window.ts';
import { randomSource, tinyModelBytes } from '../../fixtures/tiny-model.ts';
import { watchedThreads } from './watched-threads.ts';

const model = parseModel(tinyModelBytes({ seed: 5 }));
const level = { height: 12, width: 12 };
const latentsOf = ({ height, width }: Extent): Patch => ({
  rect: { top: 0, left: 0, height, width },
  channels: model.latentChannels,
  data: new Int16Array(height * width * model.latentChannels).fill(700),
});
const latents = latentsOf(level);
const sites = { top: 0, left: 0, height: 192, width: 192 };
const tile = {
  rows: sampleAxis(20n, 32n, 256, 1n, 192),
  columns: sampleAxis(20n, 32n, 256, 1n, 192),
  depth: 8,
} as const;

describe('the kernels', () => {
  it('are what the build command makes of their source', async () => {
    const root = fileURLToPath(new URL('../../..', import.meta.url));
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    const commands = (scripts['build:wasm'] as string).split(' && ');
    expect(commands).toHaveLength(5);
    for (const command of commands) {
      const [program, ...args] = command.split(' ');
      expect(program).toBe('asc');
      const file = args[args.indexOf('-o') + 1]!;
      let built: Uint8Array | undefined;
      const { error } = await compile(args, {
        readFile: (name, folder) => readFile(join(root, folder, name), 'utf8').catch(() => null),
        writeFile(name, contents) {
          if (name === file) built = contents as Uint8Array;
        },
      });
      expect(error).toBeNull();
      expect(Buffer.compare(built!, await readFile(join(root, file))), file).toBe(0);
    }
  }, 300_000);
});

describe('memory', () => {
  it('does not grow over 1,000 feature maps and tiles', async () => {
    // Room for the weights and some maps; a thousand that were kept would need 10 times as much.
    const engine = await openWasmEngine(model, { host: nodeHost, threads: 2, maxMemoryBytes: 48 * 2 ** 20 });
    const small = { top: 64, left: 64, height: 64, width: 64 };
    const query = {
      rows: sampleAxis(70n, 8n, 32, 1n, 192),
      columns: sampleAxis(70n, 8n, 32, 1n, 192),
      depth: 8,
    } as const;
    for (let round = 0; round < 125; round++) {
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          const features = await engine.features(latents, level, small, 60);
          await engine.pixels(features, [query]);
          features.close();
        }),
      );
    }
    await engine.close();
  });

  it('leaves no thread where it is too small for the engine', async () => {
    let running = 0;
    const host: WasmHost = {
      ...nodeHost,
      startThread() {
        const thread = nodeHost.startThread();
        let runs = true;
        running++;
        return {
          ...thread,
          terminate() {
            if (runs) running--;
            runs = false;
            return thread.terminate();
          },
        };
      },
    };
    const refused: string[] = [];
    for (let kilobytes = 512, open = false; !open; kilobytes += 128) {
      const maxMemoryBytes = kilobytes * 1024;
      const opening = openWasmEngine(model, { host, threads: 2, maxMemoryBytes });
      const engine = await opening.catch((error) => void refused.push(error.message));
      await engine?.close();
      expect(running).toBe(0);
      open = engine !== undefined;
    }
    expect(refused.length).toBeGreaterThan(2);
    for (const message of refused) expect(message).toContain('no memory');
  });

  it('ends the threads that have started where another cannot', async () => {
    let ended = 0;
    let started = 0;
    const startThread = (): Thread => {
      if (++started === 3) throw new Error('no more threads');
      const thread = nodeHost.startThread();
      return { ...thread, terminate: () => thread.terminate().finally(() => ended++) };
    };
    const opening = openWasmEngine(model, { host: { ...nodeHost, startThread }, threads: 4 });
    await expect(opening).rejects.toThrow('no more threads');
    expect(ended).toBe(2);
  });

  it('ends its threads where its first work fails', async () => {
    let ended = false;
    const end = () => {
      ended = true;
    };
    const host: WasmHost = {
      ...nodeHost,
      startThread() {
        const thread = nodeHost.startThread();
        return { ...thread, terminate: () => thread.terminate().finally(end) };
      },
      encoding: (parts) => ({
        ...nodeHost.encoding!(parts),
        encodeChunk: () => Promise.reject(new Error('no such kernel')),
      }),
    };
    await expect(openWasmEngine(model, { host, threads: 1 })).rejects.toThrow('no such kernel');
    expect(ended).toBe(true);
  });

  it('makes calls wait for memory that others hold, and refuses what can never fit', async () => {
    const engine = await openWasmEngine(model, { host: nodeHost, threads: 2, maxMemoryBytes: 16 * 2 ** 20 });
    const maps = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const features = await engine.features(latents, level, { ...sites, height: 96 }, 60);
        features.close();
        return 1;
      }),
    );
    expect(maps).toHaveLength(6);
    const kept: FeatureMap[] = [];
    const error = await (async () => {
      for (let i = 0; i < 100; i++) kept.push(await engine.features(latents, level, sites, 60));
    })().catch((reason) => reason);
    expect(isLiifError(error, 'EngineError')).toBe(true);
    expect(error.message).toContain('no memory');
    expect(kept.length).toBeGreaterThan(0);
    // It goes on once some has come back.
    for (const features of kept) features.close();
    (await engine.features(latents, level, sites, 60)).close();
    await engine.close();
  });

  it('keeps a map that is closed while it is read', async () => {
    const engine = await openWasmEngine(model, { host: nodeHost, threads: 2 });
    const features = await engine.features(latents, level, sites, 60);
    const [expected] = await engine.pixels(features, [tile]);
    // The reads wait for threads that make other maps.
    const making = Promise.all([1, 2, 3].map(() => engine.features(latents, level, sites, 3)));
    const reading = Promise.all([1, 2, 3].map(() => engine.pixels(features, [tile])));
    features.close();
    const others = await making;
    for (const [samples] of await reading)
      expect(Buffer.compare(samples as Uint8Array, expected as Uint8Array)).toBe(0);
    for (const other of others) other.close();
    await expect(engine.pixels(features, [tile])).rejects.toMatchObject({ _tag: 'EngineError' });
    const region = { address: 65_536, rect: sites, channels: model.head.hidden };
    const foreign = new HeapFeatures(new WasmHeap(false, 2 ** 20), region, sites, sites);
    await expect(engine.pixels(foreign, [tile])).rejects.toThrow('Expected a feature map of this engine');
    await engine.close();
  });

  it('gives the maps of a reduction back that one of them, which is closed, has stopped', async () => {
    const engine = await openWasmEngine(model, { host: nodeHost, threads: 1, maxMemoryBytes: 16 * 2 ** 20 });
    const closed = await engine.features(latents, level, sites, 60);
    closed.close();
    const axis = {
      index: Int32Array.from({ length: 64 }, (_, i) => i),
      fraction: new Int16Array(64),
      cell: 4096,
    };
    const reduced = { density: 2, span: { count: 64, wanted: 64, shift: 0 }, count: 29 };
    const half = { top: 0, left: 0, height: 32, width: 64 };
    for (let round = 0; round < 20; round++) {
      const open = await engine.features(latents, level, sites, 60);
      const parts = [
        { features: open, rect: half },
        { features: closed, rect: { ...half, top: 32 } },
      ];
      const grid = { rows: axis, columns: axis, depth: 8 } as const;
      const reduction = { grid, rows: reduced, columns: reduced, gray: false, parts };
      await expect(engine.reduce!(reduction)).rejects.toThrow('the feature map is closed');
      open.close();
    }
    await engine.close();
  });

  it('keeps nothing for a window whose output fits, but not the tensors before it', () => {
    const heap = new WasmHeap(false, 2 ** 23);
    const { synthesis: layers } = packNetworks(model, heap);
    const { latentChannels, latentStride, head } = model;
    const side = 16;
    const extent = { height: side, width: side };
    const input = {
      rect: whole(extent),
      channels: latentChannels,
      data: new Int16Array(side * side * latentChannels),
    };
    const window = whole(scaledExtent(extent, latentStride));
    const call = { layers, input, extent, window, channels: head.hidden, quality: 60 };
    const job = layersJob(heap, 1, call, () => {});
    const outputBytes = 2 * window.height * window.width * head.hidden;
    // All but the output, and a little more.
    heap.allocate(2 ** 23 - heap.allocate(1) - outputBytes - 4096);
    expect(() => job.begin(1)).toThrow('no memory');
    heap.free(heap.allocate(outputBytes));
  });

  it('is not given back twice by a map that is closed twice', async () => {
    const engine = await openWasmEngine(model, { host: nodeHost, threads: 0 });
    const closed = await engine.features(latents, level, sites, 60);
    const expected = await closed.read();
    closed.close();
    const open = await engine.features(latents, level, sites, 60);
    closed.close();
    const others = [3, 4].map((quality) => engine.features(latents, level, sites, quality));
    await Promise.all(others);
    const found = await open.read();
    expect(expected.every((value, i) => value === found[i])).toBe(true);
    await engine.close();
  });

  it('hands out ranges that do not overlap, and joins what comes back', () => {
    const random = randomSource(3);
    const list = new FreeList(0);
    const held = new Map<number, number>();
    for (let i = 0; i < 1000; i++) {
      if (random() < 0.55) {
        const length = 1 + Math.floor(random() * 5000);
        const start = list.allocate(length);
        const overlap = [...held].some(([other, size]) => start < other + size && other < start + length);
        expect(overlap).toBe(false);
        held.set(start, length);
      } else {
        const start = [...held.keys()][Math.floor(random() * held.size)];
        if (start === undefined) continue;
        list.free(start);
        held.delete(start);
      }
    }
    for (const start of held.keys()) list.free(start);
    const { end } = list;
    expect(list.allocate(end - 64)).toBe(64);
    expect(list.end).toBe(end);
  });
});

it('encodes nothing where its host brings no encoding, as in pages', async () => {
  const { encoding: _, ...host } = nodeHost;
  const engine = await openWasmEngine(model, { host, threads: 0 });
  const pixel = { top: 0, left: 0, height: 1, width: 1 };
  const gradient = engine.gradient(latents, level, latents.rect, pixel, () => new Int16Array(3), 60);
  await expect(gradient).rejects.toMatchObject({ _tag: 'UnsupportedError' });
  await engine.close();
});

describe('threads', () => {
  it('reject what runs and what comes with EngineError when one dies', async () => {
    const threads: Thread[] = [];
    const failures: ((reason: unknown) => void)[] = [];
    let dying = false;
    const host: WasmHost = {
      ...nodeHost,
      startThread() {
        const thread = nodeHost.startThread();
        threads.push(thread);
        return {
          ...thread,
          // None finishes before it is killed, however slow the killing.
          onMessage: (callback) =>
            thread.onMessage((answer) => {
              if (!dying) callback(answer);
            }),
          onFailure: (callback) => failures.push(callback),
        };
      },
    };
    const engine = await openWasmEngine(model, { host, threads: 2 });
    dying = true;
    const running = [1, 2, 3].map(() => engine.features(latents, level, sites, 60));
    const outcomes = Promise.allSettled(running);
    await threads[0]!.terminate();
    for (const callback of failures) callback(new Error('killed'));
    for (const outcome of await outcomes) {
      expect(outcome.status).toBe('rejected');
      expect((outcome as PromiseRejectedResult).reason).toMatchObject({ _tag: 'EngineError' });
    }
    await expect(engine.features(latents, level, sites, 60)).rejects.toMatchObject({ _tag: 'EngineError' });
    await engine.close();
  });

  it('leave the event loop free while they compute', async () => {
    const engine = await openWasmEngine(model, { host: nodeHost, threads: 1 });
    let turns = 0;
    const ticking = setInterval(() => turns++, 1);
    const work = Array.from({ length: 30 }, async () => {
      (await engine.features(latents, level, sites, 60)).close();
    });
    await Promise.all(work);
    clearInterval(ticking);
    expect(turns).toBeGreaterThan(10);
    await engine.close();
  });

  it.runIf(process.platform === 'linux')('give way to the event loop where they are asked to', async () => {
    const engine = await openWasmEngine(model, { host: niceNodeHost(7), threads: 2 });
    const tasks = await readdir('/proc/self/task');
    const niceness = await Promise.all(
      tasks.map(async (task) => {
        const fields = await readFile(`/proc/self/task/${task}/stat`, 'utf8').catch(() => '');
        // The name may hold spaces; nice is the 17th field after it.
        return Number(fields.slice(fields.lastIndexOf(')') + 2).split(' ')[16]);
      }),
    );
    expect(niceness.filter((value) => value === 7)).toHaveLength(2);
    expect(getPriority(0)).not.toBe(7);
    await engine.close();
  });

  it('let the process end while the engine is open', async () => {
    const program = `
      const { openWasmEngine } = await import(${JSON.stringify(new URL('../../../src/engine/wasm/wasm-engine.ts', import.meta.url).href)});
      const { nodeHost } = await import(${JSON.stringify(new URL('../../../src/engine/wasm/threads/node-host.ts', import.meta.url).href)});
      const { parseModel } = await import(${JSON.stringify(new URL('../../../src/network/load.ts', import.meta.url).href)});
      const { tinyModelBytes } = await import(${JSON.stringify(new URL('../../fixtures/tiny-model.ts', import.meta.url).href)});
      await openWasmEngine(parseModel(tinyModelBytes({ seed: 5 })), { host: nodeHost, threads: 2 });
      console.log('opened');`;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', program],
      { timeout: 100_000 },
    );
    expect(stdout).toBe('opened\n');
  });
});

it('stops work that was aborted', async () => {
  let posted = 0;
  const host = watchedThreads(({ kind }) => {
    if (kind === 'run') posted++;
  });
  const engine: Engine = await openWasmEngine(model, { host, threads: 2 });
  (await engine.features(latents, level, sites, 60)).close();
  const ofOne = posted;
  const controller = new AbortController();
  const long = Array.from({ length: 200 }, () =>
    engine.features(latents, level, sites, 60, controller.signal).catch((reason) => reason),
  );
  await Promise.race(long);
  const before = posted;
  controller.abort(new Error('enough'));
  expect((await Promise.all(long)).every((reason) => reason instanceof Error || 'close' in reason)).toBe(
    true,
  );
  const features = await engine.features(latents, level, sites, 60);
  // The queue was dropped, not worked off: a thread may have begun with one more of it.
  expect(posted - before).toBeLessThanOrEqual(ofOne + 2);
  features.close();
  await engine.close();
});

it('on the calling thread hears of an abort in the middle of a call, and is free soon after', async () => {
  const engine = await openWasmEngine(model, { host: nodeHost, threads: 0 });
  const large = { height: 96, width: 96 };
  const patch = latentsOf(large);
  const all = { top: 0, left: 0, height: 1536, width: 1536 };
  const calling = async (signal?: AbortSignal) =>
    (await engine.features(patch, large, all, 60, signal)).close();
  const whole = await elapsed(() => calling());
  const controller = new AbortController();
  const aborted = calling(controller.signal);
  // It would come after the call if that ran in one piece.
  setTimeout(() => controller.abort(new Error('enough')), 10);
  await expect(aborted).rejects.toThrow('enough');
  // The thread is free for others long before the call would have ended.
  const next = await elapsed(async () => (await engine.features(latents, level, sites, 60)).close());
  expect(next).toBeLessThan(whole / 2);
  await engine.close();
});

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
