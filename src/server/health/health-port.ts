import { SourceError } from '../../errors.ts';
import { startWorker } from '../../start-worker.ts';
import { Heartbeat, type HeartState } from './heartbeat.ts';

/** What the thread is started with. */
export interface HealthData {
  readonly buffer: SharedArrayBuffer;
  readonly host: string;
  readonly port: number;
  readonly staleMs: number;
}

/** What it says: once, when it listens or cannot. */
export type HealthMessage =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

export interface HealthPort {
  /** Where it listens; the free one that was found, if 0 was asked for. */
  readonly port: number;
  set(state: HeartState): void;
  close(): Promise<void>;
}

export interface HealthPortOptions {
  readonly host: string;
  readonly port: number;
  /** Milliseconds without a sign of the server's thread after which it counts as stuck. */
  readonly staleMs?: number;
}

const BEAT_MS = 250;
const STALE_MS = 10_000;

/**
 * Answers /health and /ready on a port and a thread of their own, so that a busy event loop makes no balancer take the server for a dead one:
 * 200 while this thread gives signs of life, 503 when it has given none for `staleMs`; /ready also 503 unless the state is `ready`.
 * Rejects with SourceError where the port is taken.
 */
export async function openHealthPort(options: HealthPortOptions): Promise<HealthPort> {
  const { host, port, staleMs = STALE_MS } = options;
  const heartbeat = new Heartbeat();
  heartbeat.beat();
  const data: HealthData = { buffer: heartbeat.buffer, host, port, staleMs };
  const worker = startWorker(new URL('./health-worker', import.meta.url), { workerData: data });
  try {
    const listening = await new Promise<number>((resolve, reject) => {
      worker.once('message', (message: HealthMessage) => {
        if (message.kind === 'listening') resolve(message.port);
        else
          reject(
            new SourceError(
              message.code === 'EADDRINUSE'
                ? `health port ${port} is taken by another program`
                : `health port ${host}:${port}: ${message.message}`,
            ),
          );
      });
      worker.once('error', reject);
    });
    const timer = setInterval(() => heartbeat.beat(), BEAT_MS);
    timer.unref();
    worker.unref();
    return {
      port: listening,
      set(state) {
        heartbeat.state = state;
      },
      async close() {
        clearInterval(timer);
        await worker.terminate();
      },
    };
  } catch (error) {
    await worker.terminate();
    throw error;
  }
}
