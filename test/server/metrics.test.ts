import { createHook } from 'node:async_hooks';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { createApp } from '../../src/server/index.ts';
import { Metrics } from '../../src/server/metrics.ts';
import { collectGarbage } from '../fixtures/collect-garbage.ts';
import { directoryOf, eventually, testEngine } from './server-fixture.ts';

/** What metrics have been told to look at, like the caches of an application. */
function watched(): WeakRef<object> {
  const pictures = new Map();
  new Metrics().watchPictures(() => pictures.size);
  return new WeakRef(pictures);
}

it('applications that are closed leave nothing that measures, and nothing in memory', async () => {
  const root = await directoryOf();
  const logger = pino({ level: 'silent' });
  let monitors = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === 'ELDHISTOGRAM') monitors++;
    },
  }).enable();
  const closed: WeakRef<object>[] = [];
  for (let i = 0; i < 20; i++) {
    await (await createApp({ roots: [root], watch: false, openEngine: testEngine, logger })).close();
    closed.push(watched());
  }
  hook.disable();
  expect(monitors).toBeLessThanOrEqual(1);
  await eventually(() => {
    collectGarbage();
    return closed.every((each) => each.deref() === undefined);
  });
});
