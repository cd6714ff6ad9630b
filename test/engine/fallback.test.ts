import { expect, it } from 'vitest';
import type { Engine, EngineName, FeatureMap } from '../../src/engine/engine.ts';
import { withFallback } from '../../src/engine/fallback.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { EngineError, RequestError } from '../../src/errors.ts';
import { sampleAxis } from '../../src/head/query.ts';
import { parseModel } from '../../src/network/load.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

const model = parseModel(tinyModelBytes({ seed: 3 }));
const level = { height: 1, width: 1 };
const sites = { top: 0, left: 0, height: 16, width: 16 };
const latents = {
  rect: { top: 0, left: 0, ...level },
  channels: model.latentChannels,
  data: Int16Array.from({ length: model.latentChannels }, (_, i) => 300 * i - 4000),
};
const axis = sampleAxis(2n, 6n, 6, 1n, 16);
const query = { rows: axis, columns: axis, depth: 8 } as const;

it('goes on with an engine that failed once, though maps that the other made meanwhile are asked for pixels', async () => {
  const { first, asked } = failingOnce();
  const warnings: string[] = [];
  const both = withFallback(first, openReferenceEngine(model), (text) => warnings.push(text));
  const map = await both.features(latents, level, sites, 50);
  const pixels = () => both.pixels(map, [query]);
  const [expected] = await pixels();
  for (let i = 0; i < 4; i++) expect(await pixels()).toEqual([expected]);
  expect(await map.read()).toHaveLength(sites.height * sites.width * model.head.hidden);
  expect(asked).toEqual(['features']);
  const later = await both.features(latents, level, sites, 50);
  expect(await both.pixels(later, [query])).toEqual([expected]);
  expect(asked).toEqual(['features', 'features', 'pixels']);
  expect(warnings).toEqual(['out of memory, once; the reference engine stands in']);
  await both.close();
  expect(asked.at(-1)).toBe('close');
  await expect(pixels()).rejects.toThrow('the engine is closed');
});

it('asks an engine no more that fails three times in a row, and closes it', async () => {
  const { first, asked } = failingOnce();
  let failures = 0;
  const failing = () => {
    failures++;
    return Promise.reject(new EngineError('out of memory'));
  };
  const both = withFallback(
    { ...first, features: failing, pixels: failing },
    openReferenceEngine(model),
    () => {},
  );
  const map = await both.features(latents, level, sites, 50);
  await both.features(latents, level, sites, 50);
  expect(asked).toEqual([]);
  await both.features(latents, level, sites, 50);
  expect(asked).toEqual(['close']);
  expect(await both.pixels(map, [query])).toHaveLength(1);
  await both.features(latents, level, sites, 50);
  expect(failures).toBe(3);
  await both.close();
});

it('asks on an engine that fails now and then, but not in a row, and warns once', async () => {
  const log: string[] = [];
  const turns = [true, true, false, true, true, false];
  const warnings: string[] = [];
  const first = watched('webgpu', log, () => turns.shift()!);
  const both = withFallback(first, openReferenceEngine(model), (text) => warnings.push(text));
  for (let i = 0; i < 6; i++) (await both.features(latents, level, sites, 50)).close();
  expect(log.filter((line) => line === 'webgpu features')).toHaveLength(6);
  expect(warnings).toHaveLength(1);
  await both.close();
});

it('makes a map of the first engine again on the second, once, and closes both', async () => {
  const log: string[] = [];
  const first = watched('webgpu', log, (call) => call === 'pixels');
  const both = withFallback(first, watched('reference', log), () => {});
  const map = await both.features(latents, level, sites, 50);
  const inner = await openReferenceEngine(model).features(latents, level, sites, 50);
  expect(map).toMatchObject({ rect: sites, level: inner.level });
  expect(map.byteLength).toBe(inner.byteLength + latents.data.byteLength);
  const [expected] = await openReferenceEngine(model).pixels(inner, [query]);
  const found = await Promise.all([both.pixels(map, [query]), both.pixels(map, [query])]);
  expect(found).toEqual([[expected], [expected]]);
  expect(log.filter((line) => line.endsWith('features'))).toEqual(['webgpu features', 'reference features']);
  map.close();
  await expect(both.pixels(map, [query])).rejects.toThrow('the feature map is closed');
  await expect.poll(() => log.slice(-2).sort()).toEqual(['reference drops', 'webgpu drops']);
  await both.close();
});

it('tries to make a map again where the second engine has failed at it', async () => {
  const log: string[] = [];
  const first = watched('webgpu', log, (call) => call === 'pixels');
  const failures = [true, false];
  const second = watched('reference', log, (call) => call === 'features' && failures.shift()!);
  const both = withFallback(first, second, () => {});
  const map = await both.features(latents, level, sites, 50);
  await expect(both.pixels(map, [query])).rejects.toThrow('reference: no features');
  expect(await both.pixels(map, [query])).toHaveLength(1);
  await both.close();
});

it('makes no map again that was closed while the first engine failed', async () => {
  const log: string[] = [];
  const both = withFallback(
    watched('webgpu', log, (call) => call === 'pixels'),
    watched('reference', log),
    () => {},
  );
  const map = await both.features(latents, level, sites, 50);
  const pixels = both.pixels(map, [query]);
  map.close();
  await expect(pixels).rejects.toThrow('the feature map is closed');
  expect(log).not.toContain('reference features');
  await both.close();
});

it('stops with the signal of the caller, and counts that as no failure', async () => {
  const both = withFallback(openReferenceEngine(model), watched('reference', []), () => {
    throw new Error('nothing has failed');
  });
  const signal = AbortSignal.abort(new EngineError('enough'));
  await expect(both.features(latents, level, sites, 50, signal)).rejects.toThrow('enough');
  await both.close();
});

it('tells what the first engine is, and stands for exact ones only', async () => {
  const second = openReferenceEngine(model);
  const plainSpeed = async (signal?: AbortSignal) => ({ gigaMacs: signal ? 1 : 0, copyGigabytes: 2 });
  const first: Engine = { ...second, name: 'webgpu', threads: 3, device: 'card', plainSpeed };
  const both = withFallback(first, second, () => {});
  expect(both).toMatchObject({ name: 'webgpu', exact: true, threads: 3, device: 'card', model });
  expect(await both.plainSpeed?.(new AbortController().signal)).toEqual({ gigaMacs: 1, copyGigabytes: 2 });
  const plain = withFallback(second, second, () => {});
  expect([plain.device, plain.plainSpeed]).toEqual([undefined, undefined]);
  expect(() => withFallback({ ...first, exact: false }, second, () => {})).toThrow('Only exact engines');
  expect(() => withFallback(first, { ...second, exact: false }, () => {})).toThrow('Only exact engines');
});

it('asks neither engine once it is closed, not even for what has failed by then', async () => {
  const log: string[] = [];
  let fail = (_error: Error) => {};
  const first: Engine = {
    ...watched('webgpu', log),
    features: () => new Promise((_, reject) => (fail = reject)),
  };
  const both = withFallback(first, watched('reference', log), () => {});
  const features = both.features(latents, level, sites, 50);
  await both.close();
  expect(log).toEqual(['webgpu closes', 'reference closes']);
  fail(new EngineError('the device is gone'));
  await expect(features).rejects.toThrow('the device is gone');
  await expect(both.features(latents, level, sites, 50)).rejects.toThrow('the engine is closed');
  expect(log).toHaveLength(2);
});

/** The reference engine under another name, which knows no maps but its own and fails where it is told to. */
function watched(name: EngineName, log: string[], fails: (call: string) => boolean = () => false): Engine {
  const engine = openReferenceEngine(model);
  const inner = new Map<FeatureMap, FeatureMap>();
  const enter = (call: string) => {
    log.push(`${name} ${call}`);
    if (fails(call)) throw new EngineError(`${name}: no ${call}`);
  };
  return {
    ...engine,
    name,
    async features(...call) {
      enter('features');
      const made = await engine.features(...call);
      const { rect, level, byteLength } = made;
      const map: FeatureMap = {
        rect,
        level,
        byteLength,
        read: () => made.read(),
        close: () => void log.push(`${name} drops`),
      };
      inner.set(map, made);
      return map;
    },
    async pixels(map, ...call) {
      enter('pixels');
      const mine = inner.get(map);
      if (!mine) throw new RequestError('Expected a feature map of this engine');
      return engine.pixels(mine, ...call);
    },
    async close() {
      log.push(`${name} closes`);
    },
  };
}

/** The reference engine, which fails at its first features, and what it has been asked for. */
function failingOnce(): { first: Engine; asked: string[] } {
  const asked: string[] = [];
  const engine = openReferenceEngine(model);
  const first: Engine = {
    ...engine,
    name: 'webgpu',
    async features(...call) {
      asked.push('features');
      if (asked.length === 1) throw new EngineError('out of memory, once');
      return engine.features(...call);
    },
    async pixels(...call) {
      asked.push('pixels');
      return engine.pixels(...call);
    },
    async close() {
      asked.push('close');
    },
  };
  return { first, asked };
}
