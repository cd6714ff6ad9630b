import { expect, it } from 'vitest';
import type { Thread } from '../../src/engine/wasm/host.ts';
import type { Job, RunningJob } from '../../src/engine/wasm/job.ts';
import type { FromThread } from '../../src/engine/wasm/thread.ts';
import { ThreadPool } from '../../src/engine/wasm/thread-pool.ts';

/** Answers everything, a turn later. */
function answeringThread(): Thread {
  let tell: (answer: FromThread) => void = () => {};
  return {
    post: () => void setImmediate(() => tell({ kind: 'done' } as FromThread)),
    onMessage(callback) {
      tell = callback;
    },
    onFailure() {},
    hold() {},
    terminate: async () => {},
  };
}

it('gives the memory of a job back whose result cannot be taken, and goes on with the next', async () => {
  const pool = new ThreadPool([answeringThread()]);
  const released: string[] = [];
  const job = (name: string, finish: () => string): Job<string> => ({
    maxThreads: 1,
    begin: () =>
      ({
        message: {},
        abort() {},
        finish,
        release: () => void released.push(name),
      }) as unknown as RunningJob<string>,
  });
  const first = pool.run(
    job('first', () => {
      throw new RangeError('Array buffer allocation failed');
    }),
    undefined,
  );
  const second = pool.run(
    job('second', () => 'done'),
    undefined,
  );
  await expect(first).rejects.toThrow('Array buffer allocation failed');
  expect(await second).toBe('done');
  expect(released).toEqual(['first', 'second']);
});
