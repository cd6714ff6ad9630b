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
  const holds: boolean[] = [];
  let die: (reason: unknown) => void = () => {};
  let ended = false;
  const thread: Thread = {
    post: (message) => void posted.push(message),
    onMessage(callback) {
      tell = callback;
    },
    onFailure(callback) {
      die = callback;
    },
    hold: (busy) => void holds.push(busy),
    terminate: async () => {
      await pause(1);
      ended = true;
    },
  };
  const answer = (kind: FromThread['kind'] = 'done') => tell({ kind, message: 'no stack' } as FromThread);
  return { thread, posted, holds, answer, die: (reason: unknown) => die(reason), ended: () => ended };
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
    readonly begin?: (threads: number) => void;
  } = {},
): Job<string> {
  return {
    maxThreads,
    begin(threads) {
      begin(threads);
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
  missing = 1;
  await expect(pool.run(jobOf([], { begin }), undefined)).rejects.toThrow('no memory');
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

it('shares idle threads among the jobs that wait, and gives each one at least', async () => {
  const threads = Array.from({ length: 5 }, patientThread);
  const pool = new ThreadPool(threads.map(({ thread }) => thread));
  const counts: number[] = [];
  let room = false;
  const begin = (count: number) => {
    if (!room) throw new EngineError('no memory');
    counts.push(count);
  };
  const first = pool.run(jobOf([]), undefined);
  const others = [1, 2].map(() => pool.run(jobOf([], { maxThreads: 9, begin }), undefined));
  room = true;
  threads[4]!.answer();
  await first;
  expect(counts).toEqual([2, 3]);
  const late = [1, 2].map(() => pool.run(jobOf([], { maxThreads: 9, begin }), undefined));
  threads[0]!.answer();
  expect(counts).toEqual([2, 3, 1]);
  for (const { answer } of threads.slice(1)) answer();
  threads[0]!.answer();
  await Promise.all(others);
  for (const { answer, posted } of threads.slice(1)) if (posted.length > 1) answer();
  threads[4]!.answer();
  await Promise.all(late);
});

it('has no thread help while a job waits, and no more of them than there are places', async () => {
  const threads = Array.from({ length: 4 }, patientThread);
  const pool = new ThreadPool(threads.map(({ thread }) => thread));
  const helps = () => threads.flatMap(({ posted }) => posted).filter((message) => message === 'help').length;
  const led = pool.run(jobOf([], { maxHelpers: 2, help: 'help' as never }), undefined);
  let room = false;
  const begin = () => {
    if (!room) throw new EngineError('no memory');
  };
  const gone = new AbortController();
  const waiting = pool.run(jobOf([], { begin }), gone.signal);
  await pause(5);
  expect(helps()).toBe(0);
  gone.abort(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  room = true;
  const quick = pool.run(jobOf([]), undefined);
  threads[2]!.answer();
  await quick;
  await pause(5);
  expect(helps()).toBe(2);
  for (const { answer, posted } of threads) if (posted.length > 0) answer();
  threads[3]!.answer();
  expect(await led).toBe('done');
});

it('keeps the process while a thread is at work, and not before or after', async () => {
  const { thread, holds, answer } = patientThread();
  const pool = new ThreadPool([thread]);
  const job = pool.run(jobOf([]), undefined);
  expect(holds).toEqual([false, true]);
  answer();
  await job;
  expect(holds).toEqual([false, true, false]);
});

it('stops a job that is given up, takes no result of it, and frees its memory when its threads have answered', async () => {
  const { thread, answer } = patientThread();
  const pool = new ThreadPool([thread]);
  const log: string[] = [];
  const gone = new AbortController();
  const finish = () => {
    log.push('finish');
    return 'done';
  };
  const job = pool.run(jobOf(log, { finish }), gone.signal);
  gone.abort(new Error('gone'));
  await expect(job).rejects.toThrow('gone');
  expect(log).toEqual(['abort']);
  answer();
  expect(log).toEqual(['abort', 'release']);
  const later = new AbortController();
  const ended = pool.run(jobOf(log), later.signal);
  answer();
  await ended;
  later.abort();
  expect(log).toEqual(['abort', 'release', 'release']);
});

it('ends all threads when one dies, and says that to those who come later', async () => {
  const [first, second] = [patientThread(), patientThread()];
  const pool = new ThreadPool([first.thread, second.thread]);
  const job = pool.run(jobOf([]), undefined);
  first.die(new Error('out of stack'));
  await expect(job).rejects.toThrow('A thread of the wasm engine has died: out of stack');
  await pause(5);
  expect([first.ended(), second.ended()]).toEqual([true, true]);
  await pool.close();
  await expect(pool.run(jobOf([]), undefined)).rejects.toThrow('has died');
});

it('stops all jobs when it is closed, begins no other, and waits for the end of its threads', async () => {
  const { thread, ended } = patientThread();
  const pool = new ThreadPool([thread]);
  const log: string[] = [];
  const jobs = [1, 2].map(() => pool.run(jobOf(log), undefined));
  const refused = jobs.map((job) => expect(job).rejects.toThrow('the engine is closed'));
  await pool.close();
  expect([ended(), log, pool.broken]).toEqual([true, ['abort'], true]);
  await Promise.all(refused);
  await expect(pool.run(jobOf(log), undefined)).rejects.toThrow('the engine is closed');
});

type Patient = ReturnType<typeof patientThread>;
