import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { SourceError } from '../../errors.ts';
import { startWorker } from '../../start-worker.ts';
import { Heartbeat, type HeartState } from './heartbeat.ts';

/** `workerData` of the thread. */
export interface HealthData {
  readonly buffer: SharedArrayBuffer;
  readonly host: string;
  readonly port: number;
  readonly staleMs: number;
}

/** The one message of the thread: that it listens, or why it cannot. */
export type HealthMessage =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly message: string };

export interface HealthPort {
  /** The port that it listens on; for 0 the free port that was found. */
  readonly port: number;
  /** Passes the state to the thread now. Otherwise that happens four times a second. */
  beat(): void;
  close(): Promise<void>;
}

export interface HealthPortOptions {
  readonly host: string;
  readonly port: number;
  /** The server's state now. */
  readonly state: () => HeartState;
  /** Hears of a thread that has died. */
  readonly log: Logger;
  /** Milliseconds without a beat after which the event loop counts as stuck. */
  readonly staleMs?: number;
}

const BEAT_MS = 250;
const STALE_MS = 10_000;
/** Pause between the end of a thread and the start of the next, doubled while none can listen. */
const SHORTEST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Answers /health and /ready on a port and a thread of their own, so that no balancer takes a server with a
 * busy event loop for a dead one. Both give 200 while the calling thread beats, and 503 when it has not for
 * `staleMs`; /ready also gives 503 unless the state is `ready`. A thread that dies is logged and replaced.
 * Rejects with SourceError if the port is taken.
 */
export async function openHealthPort(options: HealthPortOptions): Promise<HealthPort> {
  const { host, state, log, staleMs = STALE_MS } = options;
  const heartbeat = new Heartbeat();
  const beat = () => heartbeat.beat(state());
  const start = (port: number) => startThread({ buffer: heartbeat.buffer, host, port, staleMs });
  beat();
  let thread = start(options.port);
  const { port } = await thread;
  const beating = setInterval(beat, BEAT_MS).unref();
  let closed = false;

  async function keep(): Promise<void> {
    let pauseMs = SHORTEST_PAUSE_MS;
    for (;;) {
      const err = await thread.then(
        ({ ended }) => {
          pauseMs = SHORTEST_PAUSE_MS;
          return ended;
        },
        (error: unknown) => error,
      );
      if (closed) return;
      log.error(
        { err, healthPort: port, pauseMs },
        'health port does not answer; its thread is started again',
      );
      await pause(pauseMs, undefined, { ref: false });
      if (closed) return;
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      thread = start(port);
      thread.then(
        () => log.warn({ healthPort: port }, 'health port answers again'),
        () => {},
      );
    }
  }
  void keep();

  return {
    port,
    beat,
    async close() {
      closed = true;
      clearInterval(beating);
      await thread.then(
        ({ terminate }) => terminate(),
        () => {},
      );
    },
  };
}

interface HealthThread {
  readonly port: number;
  /** Resolves with the reason when the thread has ended. */
  readonly ended: Promise<Error>;
  terminate(): Promise<unknown>;
}

/** Resolves when the thread listens. Rejects with SourceError if it cannot. */
async function startThread(data: HealthData): Promise<HealthThread> {
  const worker = startWorker(new URL('./health-worker', import.meta.url), { workerData: data });
  const ended = new Promise<Error>((resolve) => {
    worker.once('error', resolve);
    worker.once('exit', (code) => resolve(new Error(`the thread has ended with exit code ${code}`)));
  });
  const said = new Promise<HealthMessage>((resolve) => worker.once('message', resolve));
  const first = await Promise.race([said, ended]);
  if (first instanceof Error) throw first;
  if (first.kind === 'failed') {
    await worker.terminate();
    throw new SourceError(first.message);
  }
  // The thread does not keep the process alive.
  worker.unref();
  return { port: first.port, ended, terminate: () => worker.terminate() };
}
