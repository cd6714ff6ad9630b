import { createHook } from 'node:async_hooks';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { createApp } from '../../src/server/index.ts';
import { collectGarbage } from '../fixtures/collect-garbage.ts';
import { directoryOf, eventually, testEngine } from './server-fixture.ts';

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
