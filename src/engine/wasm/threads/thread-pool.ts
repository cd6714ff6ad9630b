import { EngineError, isLiifError, messageOf } from '../../../errors.ts';
import { onAbort } from '../../../on-abort.ts';
import type { Thread } from './host.ts';
import type { Job, RunningJob } from './job.ts';
import { errorOf, type FromThread, type JobMessage, type JobResult } from './thread.ts';

interface Waiting {
  readonly job: Job<unknown>;
  readonly settled: () => boolean;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
  readonly signal: AbortSignal | undefined;
}

interface Running {
  fail(reason: unknown): void;
  /** How many more threads can help. */
  readonly openPlaces: number;
  takeIn(thread: Thread): void;
}

/**
 * Gives jobs to threads: first come, first served. Jobs that wait share the idle threads; a job that is alone
 * gets all of them. Threads that are idle while no job waits help with jobs that run.
 */
export class ThreadPool {
  readonly #threads: readonly Thread[];
  readonly #idle: Thread[];
  readonly #answers = new Map<Thread, (answer: FromThread) => void>();
  #queue: Waiting[] = [];
  readonly #running = new Set<Running>();
  #helping: ReturnType<typeof setTimeout> | undefined;
  #failure: unknown;
  #trapped = false;

  /** The threads have started and wait for jobs. */
  constructor(threads: readonly Thread[]) {
    this.#threads = threads;
    this.#idle = [...threads];
    for (const thread of threads) {
      thread.hold(false);
      thread.onMessage((answer) => this.#answers.get(thread)?.(answer));
      thread.onFailure((cause) =>
        this.fail(new EngineError(`A thread of the wasm engine has died: ${messageOf(cause)}`, { cause })),
      );
    }
  }

  /**
   * Whether nothing is run any more, or a kernel has trapped: then what other jobs compute is not to be
   * trusted either.
   */
  get broken(): boolean {
    return this.#trapped || this.#failure !== undefined;
  }

  run<T>(job: Job<T>, signal: AbortSignal | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      let settled = false;
      const stop = onAbort(signal, () => {
        if (settled) return;
        settled = true;
        this.#queue = this.#queue.filter((entry) => entry !== waiting);
        reject(signal!.reason);
      });
      const settle =
        <V>(then: (value: V) => void) =>
        (value: V) => {
          stop();
          if (settled) return;
          settled = true;
          then(value);
        };
      const waiting: Waiting = {
        job,
        signal,
        settled: () => settled,
        resolve: settle(resolve as (value: unknown) => void),
        reject: settle(reject),
      };
      this.#queue.push(waiting);
      this.#dispatch();
    });
  }

  /** Rejects all jobs that wait or run, and all that come later, and ends the threads. */
  fail(reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    for (const { reject } of this.#queue.splice(0)) reject(reason);
    for (const job of this.#running) job.fail(reason);
    for (const thread of this.#threads) void thread.terminate();
  }

  async close(): Promise<void> {
    this.fail(new EngineError('the engine is closed'));
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  #dispatch(): void {
    while (this.#idle.length > 0 && this.#queue.length > 0 && this.#failure === undefined) {
      const waiting = this.#queue[0]!;
      const share = Math.max(1, Math.floor(this.#idle.length / this.#queue.length));
      const count = Math.min(waiting.job.maxThreads, share);
      let running: RunningJob<unknown>;
      try {
        running = waiting.job.begin(count);
      } catch (error) {
        // Try again when a running job has freed its memory.
        if (isLiifError(error, 'EngineError') && this.#running.size > 0) return;
        this.#queue.shift();
        waiting.reject(error);
        continue;
      }
      this.#queue.shift();
      this.#start(waiting, running, this.#idle.splice(-count));
    }
    if (this.#helping === undefined && this.#wantsHelp() !== undefined)
      // Later: calls that come together are faster with a thread each.
      this.#helping = setTimeout(() => {
        this.#helping = undefined;
        this.#help();
      });
  }

  /** The running job with the most open places, if threads are idle and no job waits. */
  #wantsHelp(): Running | undefined {
    if (this.#idle.length === 0 || this.#queue.length > 0 || this.#failure !== undefined) return undefined;
    const open = [...this.#running].filter((job) => job.openPlaces > 0);
    return open.sort((a, b) => b.openPlaces - a.openPlaces)[0];
  }

  #help(): void {
    for (let job = this.#wantsHelp(); job !== undefined; job = this.#wantsHelp())
      job.takeIn(this.#idle.pop()!);
  }

  #start(waiting: Waiting, running: RunningJob<unknown>, threads: readonly Thread[]): void {
    const stop = onAbort(waiting.signal, () => running.abort());
    const { help, maxHelpers = 0 } = running;
    let missing = 0;
    let openPlaces = maxHelpers;
    let first: JobResult;
    let failure: Error | undefined;
    const post = (thread: Thread, message: JobMessage, leads: boolean, transfer?: ArrayBuffer[]): void => {
      missing++;
      thread.hold(true);
      this.#answers.set(thread, (answer) => {
        this.#answers.delete(thread);
        thread.hold(false);
        this.#idle.push(thread);
        if (answer.kind !== 'done') {
          failure ??= errorOf(answer);
          this.#trapped ||= answer.kind === 'error';
          running.abort(); // the others would wait for it for ever
        } else if (leads) first = answer.result;
        if (leads) openPlaces = 0;
        if (--missing === 0) {
          stop();
          this.#running.delete(entry);
          try {
            if (failure) throw failure;
            if (!waiting.settled()) waiting.resolve(running.finish(first));
          } catch (error) {
            waiting.reject(error);
          } finally {
            running.release();
          }
        }
        this.#dispatch();
      });
      thread.post(message, transfer);
    };
    const entry: Running = {
      fail: (reason) => {
        stop();
        running.abort();
        waiting.reject(reason);
      },
      get openPlaces() {
        return openPlaces;
      },
      takeIn(thread) {
        openPlaces--;
        post(thread, help!, false);
      },
    };
    this.#running.add(entry);
    for (const [i, thread] of threads.entries()) post(thread, running.message, i === 0, running.transfer);
  }
}
