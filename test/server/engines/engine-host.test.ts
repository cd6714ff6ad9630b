import { expect, it, onTestFinished } from 'vitest';
import type { Engine } from '../../../src/engine/engine.ts';
import { EngineError } from '../../../src/errors.ts';
import { EngineHost, type EngineHostOptions } from '../../../src/server/engines/engine-host.ts';
import { testEngine } from '../server-fixture.ts';

const LATENT = { rect: { top: 0, left: 0, height: 1, width: 1 }, level: { height: 1, width: 1 } };

/** A host of test engines, which are counted as they are opened. */
function hosted(more: Partial<EngineHostOptions> = {}) {
  const engines: Engine[] = [];
  const replaced: string[] = [];
  const host = new EngineHost({
    openEngine: async () => {
      engines.push(await testEngine());
      return engines.at(-1)!;
    },
    featureCacheBytes: 2 ** 20,
    latentCacheBytes: 2 ** 20,
    pixelCacheBytes: 0,
    onReplaced: (reason) => replaced.push(reason),
    ...more,
  });
  onTestFinished(() => host.close());
  return { host, engines, replaced };
}

/** Keeps the features of one latent under a key. */
async function keepFeatures(host: EngineHost, key: string): Promise<void> {
  const { engine, features } = await host.running();
  const { latentChannels: channels, latentStride: side } = engine.model;
  const latents = { rect: LATENT.rect, channels, data: new Int16Array(channels) };
  const sites = { top: 0, left: 0, height: side, width: side };
  const load = (signal: AbortSignal) => engine.features(latents, LATENT.level, sites, 1, signal);
  const lease = await features.lease(key, load);
  lease.release();
}

it('an engine that fails at one call and works at others stays, and only the features kept of it go', async () => {
  const { host, engines, replaced } = hosted();
  await keepFeatures(host, 'a');
  expect(host.caches.features!.bytes).toBeGreaterThan(0);
  await Promise.all([
    host.recover(1, new EngineError('no memory for so much')),
    host.recover(1, new EngineError('no memory for so much')),
  ]);
  expect([host.generation, engines.length, replaced]).toEqual([1, 1, []]);
  expect(host.caches.features!.bytes).toBe(0);
  await keepFeatures(host, 'a');
  expect(host.caches.features!.bytes).toBeGreaterThan(0);
});

it('an engine that is dead is replaced once for all who saw it fail, and look-ups go on being counted from where they were', async () => {
  const { host, engines, replaced } = hosted();
  for (const key of ['a', 'a', 'b']) await keepFeatures(host, key);
  expect(host.caches.features).toMatchObject({ hits: 1, misses: 2 });
  await engines[0]!.close();
  await Promise.all([host.recover(1, new EngineError('it died')), host.recover(1, new EngineError('too'))]);
  expect([host.generation, replaced]).toEqual([2, ['it died']]);
  expect(host.caches.features).toEqual({ bytes: 0, hits: 1, misses: 2 });
  for (const key of ['a', 'a']) await keepFeatures(host, key);
  expect(host.caches.features).toMatchObject({ hits: 2, misses: 3 });
  expect(engines).toHaveLength(2);
});

it('an engine that knows whether it is broken is not asked for features to find out', async () => {
  let broken = false;
  const { host } = hosted({
    pauseMs: 0,
    openEngine: async () => ({
      ...(await testEngine()),
      get broken() {
        return broken;
      },
      features: () => Promise.reject(new EngineError('busy for a minute')),
    }),
  });
  await host.running();
  await host.recover(1, new EngineError('no memory for so much'));
  expect(host.generation).toBe(1);
  broken = true;
  await host.recover(1, new EngineError('a thread has died'));
  expect(host.generation).toBe(2);
});

it('an engine that no longer answers is looked at again only after a pause', async () => {
  const { host, engines } = hosted({ pauseMs: 60_000 });
  await host.running();
  await host.recover(1, new EngineError('once'));
  await engines[0]!.close();
  await host.recover(1, new EngineError('again'));
  expect([host.generation, engines.length]).toEqual([1, 1]);
});
