import type { Model } from '../../network/model.ts';
import type { Engine, FeatureMap, Query } from '../engine.ts';
import { type FromWorker, type Result, type ToWorker, toWire } from './messages.ts';

/** The worker's side of `worker-engine.ts`: an engine behind messages. Returns what handles them. */
export function serveEngine(
  openEngine: (model: Model) => Promise<Engine>,
  post: (message: FromWorker, transfer: Transferable[]) => void,
): (message: ToWorker) => void {
  let engine: Engine | undefined;
  const maps = new Map<number, FeatureMap>();
  const running = new Map<number, AbortController>();

  const mapOf = (number: number): FeatureMap => {
    const map = maps.get(number);
    if (!map) throw new Error('the feature map is closed');
    return map;
  };

  async function answer(message: ToWorker, signal: AbortSignal): Promise<Result> {
    switch (message.kind) {
      case 'start':
        engine = await openEngine(message.model);
        return undefined;
      case 'call': {
        const call = engine![message.name] as (...args: unknown[]) => Promise<Result>;
        return call.call(engine, ...message.args, signal);
      }
      case 'features': {
        const make = engine!.features as (...args: unknown[]) => Promise<FeatureMap>;
        const map = await make.call(engine, ...message.args, signal);
        maps.set(message.map, map);
        return { rect: map.rect, level: map.level, byteLength: map.byteLength };
      }
      case 'pixels':
        return engine!.pixels(mapOf(message.map), message.queries as Query[], signal);
      case 'read':
        return (await mapOf(message.map).read()).slice();
      case 'close-features':
        maps.get(message.map)?.close();
        maps.delete(message.map);
        return undefined;
      case 'abort':
        running.get(message.id)?.abort();
        return undefined;
    }
  }

  return async (message) => {
    const { id, kind } = message;
    const controller = new AbortController();
    if (kind === 'abort' || kind === 'close-features') {
      await answer(message, controller.signal);
      return;
    }
    running.set(id, controller);
    try {
      const result = await answer(message, controller.signal);
      post({ id, kind: 'done', result }, transferable(result));
    } catch (error) {
      post({ id, kind: 'failed', error: toWire(error) }, []);
    } finally {
      running.delete(id);
    }
  };
}

function transferable(result: Result): Transferable[] {
  if (result === undefined || 'rect' in result) return [];
  const arrays: readonly ArrayBufferView[] = Array.isArray(result)
    ? result
    : 'latents' in result
      ? [result.latents, result.bytes]
      : [result as Int16Array];
  return [...new Set(arrays.map(({ buffer }) => buffer as ArrayBuffer))];
}
