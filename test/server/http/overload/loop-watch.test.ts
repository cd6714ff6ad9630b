import { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { LoopWatch } from '../../../../src/server/http/overload/loop-watch.ts';

it('counts requests, the turns they come in and new connections, and measures, since the last look', async () => {
  const watch = new LoopWatch();
  const [one, two] = [new Socket(), new Socket()];
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  watch.count(one);
  watch.count(one);
  const end = performance.now() + 20;
  while (performance.now() < end);
  await turn();
  watch.count(two);
  await turn();
  const first = watch.look();
  expect(first).toMatchObject({ requests: 3, turns: 2, newcomers: 2 });
  expect(Math.min(first.longestTurnMs, first.elapsedMs)).toBeGreaterThanOrEqual(20);
  watch.count(two);
  await turn();
  const next = watch.look();
  expect(next).toMatchObject({ requests: 1, turns: 1, newcomers: 0 });
  for (const what of ['longestTurnMs', 'elapsedMs', 'processorMs'] as const)
    expect(next[what], what).toBeLessThan(first[what]);
});
