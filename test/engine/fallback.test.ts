import { expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import { withFallback } from '../../src/engine/fallback.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { EngineError } from '../../src/errors.ts';
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
  const failing = () => Promise.reject(new EngineError('out of memory'));
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
  await both.close();
});

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
