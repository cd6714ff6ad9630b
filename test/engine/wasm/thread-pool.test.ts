import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Thread } from '../../../src/engine/wasm/threads/host.ts';
import type { Job, RunningJob } from '../../../src/engine/wasm/threads/job.ts';
import type { FromThread } from '../../../src/engine/wasm/threads/thread.ts';
import { ThreadPool } from '../../../src/engine/wasm/threads/thread-pool.ts';
import { EngineError } from '../../../src/errors.ts';

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

/** Answers when it is told to; `posted`: its messages. */
function patientThread() {
  let tell: (answer: FromThread) => void = () => {};
  const posted: unknown[] = [];
  const thread: Thread = {
    post: (message) => void posted.push(message),
    onMessage(callback) {
      tell = callback;
    },
    onFailure() {},
    hold() {},
    terminate: async () => {},
  };
  const answer = (kind: FromThread['kind'] = 'done') => tell({ kind, message: 'no stack' } as FromThread);
  return { thread, posted, answer };
}

/** A job that does nothing. `maxThreads` 1, result 'done' unless said otherwise; `log` tells its end. */
function jobOf(
  log: string[],
  {
    maxThreads = 1,
    begin = () => {},
    ...running
  }: Partial<RunningJob<string>> & {
    readonly maxThreads?: number;
    readonly begin?: () => void;
  } = {},
): Job<string> {
  return {
    maxThreads,
    begin() {
      begin();
      return {
        message: 'run',
        abort: () => void log.push('abort'),
        finish: () => 'done',
        release: () => void log.push('release'),
        ...running,
      } as unknown as RunningJob<string>;
    },
  };
}

it('gives the memory of a job back whose result cannot be taken, and goes on with the next', async () => {
  const pool = new ThreadPool([answeringThread()]);
  const log: string[] = [];
  const finish = () => {
    throw new RangeError('Array buffer allocation failed');
  };
  const first = pool.run(jobOf(log, { finish }), undefined);
  const second = pool.run(jobOf(log), undefined);
  await expect(first).rejects.toThrow('Array buffer allocation failed');
  expect(await second).toBe('done');
  expect(log).toEqual(['release', 'release']);
});

it('begins a job for which there was no memory again when a running one has ended, but not after other errors', async () => {
  const [first, second] = [patientThread(), patientThread()];
  const pool = new ThreadPool([first.thread, second.thread]);
  let missing = 2;
  const begin = () => {
    if (missing-- > 0) throw new EngineError('no memory');
  };
  await expect(pool.run(jobOf([], { begin }), undefined)).rejects.toThrow('no memory');
  const running = pool.run(jobOf([]), undefined);
  const waiting = pool.run(jobOf([], { begin }), undefined);
  expect([first.posted.length, second.posted.length, missing]).toEqual([0, 1, 0]);
  second.answer();
  expect(await running).toBe('done');
  expect([first.posted.length, second.posted.length]).toEqual([0, 2]);
  const broken = jobOf([], {
    begin: () => {
      throw new TypeError('not a function');
    },
  });
  await expect(pool.run(broken, undefined)).rejects.toThrow('not a function');
  second.answer();
  expect(await waiting).toBe('done');
});

it('stops the threads of a job of which one fails, and frees its memory when the last has answered', async () => {
  const [first, second] = [patientThread(), patientThread()];
  const pool = new ThreadPool([first.thread, second.thread]);
  const log: string[] = [];
  const job = pool.run(jobOf(log, { maxThreads: 2 }), undefined);
  first.answer('error');
  expect(log).toEqual(['abort']);
  second.answer('format-error');
  await expect(job).rejects.toThrow('no stack');
  expect(log).toEqual(['abort', 'abort', 'release']);
});

it('is broken once a kernel has trapped, but not by a damaged chunk', async () => {
  const { thread, answer } = patientThread();
  const pool = new ThreadPool([thread]);
  for (const [kind, broken] of [
    ['format-error', false],
    ['error', true],
  ] as const) {
    const job = pool.run(jobOf([]), undefined);
    answer(kind);
    await expect(job).rejects.toThrow();
    expect(pool.broken).toBe(broken);
  }
});

it('has idle threads help the job with the most open places, and none once the leading thread has answered', async () => {
  const threads = Array.from({ length: 4 }, patientThread);
  const pool = new ThreadPool(threads.map(({ thread }) => thread));
  const helped = (maxHelpers: number, help: string) =>
    pool.run(jobOf([], { maxHelpers, help: help as never }), undefined);
  const small = helped(1, 'help the small one');
  const large = helped(9, 'help the large one');
  await pause(20);
  const posted = threads.map((thread) => thread.posted.at(-1));
  expect(posted).toEqual(['help the large one', 'help the large one', 'run', 'run']);
  const [a, b, leader, other] = threads as [Patient, Patient, Patient, Patient];
  leader.answer();
  await pause(20);
  expect(leader.posted.slice(1)).toEqual(['help the small one']);
  leader.answer();
  other.answer();
  await pause(20);
  expect(other.posted).toHaveLength(1);
  for (const helper of [a, b]) helper.answer();
  expect(await Promise.all([small, large])).toEqual(['done', 'done']);
});

type Patient = ReturnType<typeof patientThread>;
