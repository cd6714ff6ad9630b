import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Engine, FeatureMap, Query, Reduction } from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { SharedEngine } from '../../src/engine/shared-engine.ts';
import type { Thread } from '../../src/engine/wasm/threads/host.ts';
import { nodeHost } from '../../src/engine/wasm/threads/node-host.ts';
import { openWasmEngine } from '../../src/engine/wasm/wasm-engine.ts';
import { EngineError, RequestError, UnsupportedError } from '../../src/errors.ts';
import { latents, level, model, query, sites } from '../fixtures/one-latent.ts';

/** An engine that only counts: what is shared here is its life, not its arithmetic. */
function countingEngine(log: string[]): Engine {
  const number = log.filter((line) => line.startsWith('open')).length + 1;
  log.push(`open ${number}`);
  return {
    name: 'reference',
    exact: true,
    threads: 1,
    analyze: async () => {
      throw new EngineError('a thread died');
    },
    decodeChunk: async () => {
      log.push(`decode ${number}`);
      return new Int16Array(number);
    },
    features: async () =>
      ({ byteLength: number, close: () => log.push(`drop ${number}`) }) as unknown as FeatureMap,
    pixels: async (map: FeatureMap) => [new Uint8Array(map.byteLength)],
    close: async () => {
      log.push(`close ${number}`);
    },
  } as unknown as Engine;
}

const call = [new Uint8Array(), { height: 1, width: 1 }, 60] as const;
const window = [latents, level, sites, 50] as const;

it('opens one engine for all, and closes it when there is nothing to do', async () => {
  const log: string[] = [];
  const shared = new SharedEngine({ open: async () => countingEngine(log), idleMs: 20 });
  const [a, b] = await Promise.all([shared.engine(), shared.engine()]);
  await Promise.all([a.decodeChunk(...call), b.decodeChunk(...call)]);
  await a.close(); // it belongs to everybody
  await a.decodeChunk(...call);
  expect(log).toEqual(['open 1', 'decode 1', 'decode 1', 'decode 1']);
  await expect.poll(() => log.at(-1)).toBe('close 1');
  await b.decodeChunk(...call);
  expect(log.slice(-2)).toEqual(['open 2', 'decode 2']);
});

it('stays open as long as one of its feature maps', async () => {
  const log: string[] = [];
  const shared = new SharedEngine({ open: async () => countingEngine(log), idleMs: 5 });
  const engine = await shared.engine();
  const map = await engine.features(...window);
  await pause(60);
  expect(log).toEqual(['open 1']);
  expect(await engine.pixels(map, [])).toEqual([new Uint8Array(1)]);
  map.close();
  map.close();
  await expect.poll(() => log).toEqual(['open 1', 'drop 1', 'close 1']);
});

it('replaces an engine that has failed', async () => {
  const log: string[] = [];
  const shared = new SharedEngine({ open: async () => countingEngine(log), idleMs: 1000 });
  const engine = await shared.engine();
  const analyze = engine.analyze as unknown as () => Promise<Int16Array>;
  await expect(analyze()).rejects.toThrow('a thread died');
  await engine.decodeChunk(...call);
  expect(log).toEqual(['open 1', 'close 1', 'open 2', 'decode 2']);
});

it('keeps an engine that works, though a call was too large for it or came with a map that is closed', async () => {
  let opened = 0;
  const open = async () => {
    opened++;
    return openWasmEngine(model, { host: nodeHost, threads: 1, maxMemoryBytes: 16 * 2 ** 20 });
  };
  const shared = new SharedEngine({ open, idleMs: 0 });
  const engine = await shared.engine();
  const map = await engine.features(...window);
  const [expected] = await engine.pixels(map, [query]);
  const side = 256;
  const large = { height: side, width: side };
  const rect = { top: 0, left: 0, ...large };
  const data = new Int16Array(side * side * model.latentChannels);
  const everything = { top: 0, left: 0, height: 16 * side, width: 16 * side };
  const tooLarge = engine.features({ ...latents, rect, data }, large, everything, 50);
  const others = Array.from({ length: 3 }, () => engine.pixels(map, [query]));
  await expect(tooLarge).rejects.toThrow('no memory');
  expect(await Promise.all(others)).toEqual([[expected], [expected], [expected]]);
  expect(await engine.pixels(map, [query])).toEqual([expected]);
  const closed = await engine.features(...window);
  closed.close();
  await expect(engine.pixels(closed, [query])).rejects.toThrow('the feature map is closed');
  expect(await engine.pixels(map, [query])).toEqual([expected]);
  expect(opened).toBe(1);
  map.close();
});

it('replaces a wasm engine of which a thread has died', async () => {
  const threads: Thread[] = [];
  let fail = (_reason: Error) => {};
  const startThread = () => {
    const thread = nodeHost.startThread();
    threads.push(thread);
    return { ...thread, onFailure: (callback: (reason: unknown) => void) => (fail = callback) };
  };
  const open = () => openWasmEngine(model, { host: { ...nodeHost, startThread }, threads: 1 });
  const shared = new SharedEngine({ open, idleMs: 0 });
  const engine = await shared.engine();
  const map = await engine.features(...window);
  fail(new Error('it ran out of stack'));
  await expect(engine.pixels(map, [query])).rejects.toThrow('has died');
  expect(await engine.pixels(map, [query])).toHaveLength(1);
  expect(threads).toHaveLength(2);
  map.close();
});

it('keeps an engine whose caller gives up, even with an error of engines for a reason', async () => {
  const log: string[] = [];
  const open = async () => {
    log.push('open');
    return openReferenceEngine(model);
  };
  const shared = new SharedEngine({ open, idleMs: 1000 });
  const engine = await shared.engine();
  const map = await engine.features(latents, level, sites, 50);
  const reason = new EngineError('The picture has been closed');
  const gone = AbortSignal.abort(reason);
  await expect(engine.features(latents, level, sites, 50, gone)).rejects.toBe(reason);
  await expect(engine.pixels(map, [query], gone)).rejects.toBe(reason);
  expect(await engine.pixels(map, [query])).toHaveLength(1);
  expect(log).toEqual(['open']);
  map.close();
});

it('makes feature maps of an engine that it has replaced again, once', async () => {
  const log: string[] = [];
  /**
   * Knows its own maps, as engines do that keep them in a memory of theirs, and fails where it is asked to
   * encode.
   */
  const open = async (): Promise<Engine> => {
    const inner = openReferenceEngine(model);
    const mine = new Set<FeatureMap>();
    const number = log.filter((line) => line.startsWith('open')).length + 1;
    log.push(`open ${number}`);
    const expectMine = (map: FeatureMap) => {
      if (!mine.has(map)) throw new RequestError('Expected a feature map of this engine');
    };
    return {
      ...inner,
      analyze: async () => {
        throw new EngineError('a thread died');
      },
      features: async (...call) => {
        log.push(`features ${number}`);
        const map = await inner.features(...call);
        mine.add(map);
        return map;
      },
      pixels: async (map: FeatureMap, queries: readonly Query[]) => {
        expectMine(map);
        return inner.pixels(map, queries);
      },
      reduce: async ({ parts }: Reduction) => {
        for (const part of parts) if ('features' in part) expectMine(part.features);
        return Uint8Array.of(number);
      },
    };
  };
  const shared = new SharedEngine({ open, idleMs: 1000 });
  const engine = await shared.engine();
  const map = await engine.features(latents, level, sites, 50);
  const [expected, features] = [await engine.pixels(map, [query]), await map.read()];
  const analyze = engine.analyze as unknown as () => Promise<Int16Array>;
  await expect(analyze()).rejects.toThrow('a thread died');

  const again = await Promise.all([engine.pixels(map, [query]), engine.pixels(map, [query])]);
  expect(again).toEqual([expected, expected]);
  const parts = [{ features: map, rect: sites }];
  expect(await engine.reduce!({ parts } as unknown as Reduction)).toEqual(Uint8Array.of(2));
  expect(await map.read()).toEqual(features);
  expect(log).toEqual(['open 1', 'features 1', 'open 2', 'features 2']);
  map.close();
});

it.each([EngineError, UnsupportedError])(
  'tries again after an engine that did not open: %o',
  async (Kind) => {
    const log: string[] = [];
    let attempts = 0;
    const open = async () => {
      if (++attempts === 1) throw new Kind('no memory');
      return countingEngine(log);
    };
    const shared = new SharedEngine({ open, idleMs: 1000 });
    await expect(shared.engine()).rejects.toThrow('no memory');
    await (await shared.engine()).decodeChunk(...call);
    expect(log).toEqual(['open 1', 'decode 1']);
  },
);

it('gives maps out with what they cover and weigh, closes those of an engine that has failed, and tries again to make them', async () => {
  const log: string[] = [];
  let opened = 0;
  let broken = false;
  const open = async (): Promise<Engine> => {
    const inner = openReferenceEngine(model);
    const number = ++opened;
    return {
      ...inner,
      device: 'card',
      analyze: async () => {
        throw new EngineError('a thread died');
      },
      features: async (...call) => {
        if (broken) throw new RequestError('not now');
        const map = await inner.features(...call);
        return {
          rect: map.rect,
          level: map.level,
          byteLength: map.byteLength,
          read: () => map.read(),
          close: () => void log.push(`drop ${number}`),
        };
      },
    };
  };
  const shared = new SharedEngine({ open, idleMs: 1000 });
  const engine = await shared.engine();
  expect(engine.device).toBe('card');
  const map = await engine.features(latents, level, sites, 50);
  const inner = await openReferenceEngine(model).features(latents, level, sites, 50);
  expect(map).toMatchObject({ rect: sites, level: inner.level });
  expect(map.byteLength).toBe(inner.byteLength + latents.data.byteLength);
  await expect((engine.analyze as unknown as () => Promise<Int16Array>)()).rejects.toThrow('a thread died');
  broken = true;
  await expect(map.read()).rejects.toThrow('not now');
  expect(log).toEqual(['drop 1']);
  broken = false;
  expect(await map.read()).toEqual(await inner.read());
  map.close();
  await expect.poll(() => log).toEqual(['drop 1', 'drop 2']);
});
