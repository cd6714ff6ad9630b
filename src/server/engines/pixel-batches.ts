import type { Engine, FeatureMap, Query, Samples } from '../../engine/engine.ts';
import { onAbort } from '../../on-abort.ts';

interface Request {
  readonly queries: readonly Query[];
  readonly signal: AbortSignal | undefined;
  readonly resolve: (samples: Samples[]) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * The same engine, but `pixels` joins queries that wait for the same feature map into one call. A map's next
 * batch begins when the one before it has ended, so batches grow with the load, and cost nothing without
 * load.
 */
export function batchPixels(engine: Engine, onBatch?: (requests: number) => void): Engine {
  const waiting = new Map<FeatureMap, Request[]>();

  async function run(map: FeatureMap, batch: readonly Request[]): Promise<void> {
    onBatch?.(batch.length);
    // The work goes on while any request of the batch wants it.
    const controller = new AbortController();
    const leave = () => {
      if (batch.every(({ signal }) => signal?.aborted)) controller.abort(batch[0]!.signal!.reason);
    };
    const forgets = batch.map(({ signal }) => onAbort(signal, leave));
    leave();
    try {
      const samples = await engine.pixels(
        map,
        batch.flatMap(({ queries }) => queries),
        controller.signal,
      );
      let next = 0;
      for (const { queries, resolve } of batch) {
        resolve(samples.slice(next, next + queries.length));
        next += queries.length;
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      for (const forget of forgets) forget();
    }
  }

  async function drain(map: FeatureMap, requests: Request[]): Promise<void> {
    while (requests.length > 0) await run(map, requests.splice(0));
    waiting.delete(map);
  }

  return {
    name: engine.name,
    exact: engine.exact,
    model: engine.model,
    threads: engine.threads,
    get broken() {
      return engine.broken;
    },
    analyze: (...call) => engine.analyze(...call),
    encodeChunk: (...call) => engine.encodeChunk(...call),
    decodeChunk: (...call) => engine.decodeChunk(...call),
    features: (...call) => engine.features(...call),
    gradient: (...call) => engine.gradient(...call),
    backpropagate: (...call) => engine.backpropagate(...call),
    ...(engine.reduce && { reduce: engine.reduce.bind(engine) }),
    close: () => engine.close(),
    pixels(map, queries, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const request: Request = { queries, signal, resolve, reject };
        const requests = waiting.get(map);
        if (requests) {
          requests.push(request);
          return;
        }
        const started = [request];
        waiting.set(map, started);
        // Requests of the same turn of the event loop join the first batch.
        setImmediate(() => void drain(map, started));
      });
    },
  };
}
