import { createHook } from 'node:async_hooks';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { createApp } from '../../src/server/index.ts';
import { VERSION } from '../../src/version.ts';
import { collectGarbage } from '../fixtures/collect-garbage.ts';
import { directoryOf, eventually, imageOf, picture, startServer, testEngine } from './server-fixture.ts';

/** An application that has been closed, if anything holds it. */
async function closedApp(root: string): Promise<WeakRef<object>> {
  const logger = pino({ level: 'silent' });
  const app = await createApp({ roots: [root], watch: false, openEngine: testEngine, logger });
  await app.close();
  return new WeakRef(app);
}

it('applications that are closed leave nothing that measures, and nothing in memory', async () => {
  const root = await directoryOf();
  let monitors = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === 'ELDHISTOGRAM') monitors++;
    },
  }).enable();
  const closed: WeakRef<object>[] = [];
  for (let i = 0; i < 20; i++) closed.push(await closedApp(root));
  hook.disable();
  expect(monitors).toBeLessThanOrEqual(1);
  await eventually(() => {
    collectGarbage();
    return closed.every((each) => each.deref() === undefined);
  });
});

it('what only grows is a counter, stores say whether they work, and what runs says which version it is', async () => {
  const image = await imageOf(picture(50, 40)).png().toBuffer();
  const roots = [await directoryOf({ 'a.png': image })];
  const server = await startServer({ roots, watch: false, diskCache: await directoryOf() });
  for (let i = 0; i < 3; i++) await server.get('/a.png/0/0/0.png');
  const text = (await server.get('/metrics')).body.toString();
  expect(text).toContain('# TYPE liif_cache_hits_total counter');
  expect(text).toContain('liif_cache_hits_total{cache="images"} 2');
  expect(text).toContain('liif_cache_misses_total{cache="images"} 1');
  expect(text).toContain('liif_store_up{cache="disk"} 1');
  expect(text).toContain(`liif_build_info{version="${VERSION}",node="${process.version}"} 1`);
});
