import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Engine, FeatureMap } from '../../src/engine/engine.ts';
import { SharedEngine } from '../../src/engine/shared-engine.ts';
import { EngineError } from '../../src/errors.ts';

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
const window = [] as unknown as Parameters<Engine['features']>;

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
  await expect.poll(() => log).toEqual(['open 1', 'drop 1', 'drop 1', 'close 1']);
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

it('tries again after an engine that did not open', async () => {
  const log: string[] = [];
  let attempts = 0;
  const open = async () => {
    if (++attempts === 1) throw new EngineError('no memory');
    return countingEngine(log);
  };
  const shared = new SharedEngine({ open, idleMs: 1000 });
  await expect(shared.engine()).rejects.toThrow('no memory');
  await (await shared.engine()).decodeChunk(...call);
  expect(log).toEqual(['open 1', 'decode 1']);
});
