import type { Model } from '../../network/model.ts';
import type { Engine, FeatureMap, Query } from '../engine.ts';
import { type EngineFacts, type FromWorker, type Result, type ToWorker, toWire } from './messages.ts';

/** An engine. `codesChunks` is false if chunks are better coded elsewhere. */
export type ServedEngine = Engine & { readonly codesChunks?: boolean };

/**
 * The worker's side of `worker-engine.ts`: an engine behind messages. Returns a function that handles a
 * message. `onClosed` is called after a message `close`, once the engine has closed, or at once if none was
 * opened; calls that were under way may still be failing.
 */
export function serveEngine(
  openEngine: (model: Model) => Promise<ServedEngine>,
  post: (message: FromWorker, transfer: ArrayBuffer[]) => void,
  onClosed: () => void = () => {},
): (message: ToWorker) => void {
  let opening: Promise<ServedEngine> | undefined;
  let engine: ServedEngine | undefined;
  const maps = new Map<number, FeatureMap>();
  const running = new Map<number, AbortController>();

  const mapOf = (number: number): FeatureMap => {
    const map = maps.get(number);
    if (!map) throw new Error('the feature map is closed');
    return map;
  };

  async function answer(message: Asking, signal: AbortSignal): Promise<Result> {
    switch (message.kind) {
      case 'start':
        opening = openEngine(message.model);
        engine = await opening;
        return factsOf(engine);
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
    }
  }

  async function reply(message: Asking): Promise<void> {
    const { id } = message;
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const result = await answer(message, controller.signal);
      post({ id, kind: 'done', result }, transferable(result));
    } catch (error) {
      post({ id, kind: 'failed', error: toWire(error) }, []);
    } finally {
      running.delete(id);
    }
  }

  return (message) => {
    switch (message.kind) {
      case 'abort':
        running.get(message.id)?.abort();
        return;
      case 'close-features':
        maps.get(message.map)?.close();
        maps.delete(message.map);
        return;
      case 'close':
        // Nobody is interested in errors of an engine that is being closed.
        void Promise.resolve(opening)
          .then((open) => open?.close())
          .catch(() => {})
          .then(onClosed);
        return;
      default:
        void reply(message);
    }
  };
}

/** Messages that are answered. */
type Asking = Exclude<ToWorker, { readonly kind: 'abort' | 'close-features' | 'close' }>;

function factsOf({ threads, device, codesChunks = true }: ServedEngine): EngineFacts {
  return { threads, codesChunks, ...(device !== undefined && { device }) };
}

function transferable(result: Result): ArrayBuffer[] {
  if (result === undefined || 'rect' in result || 'threads' in result) return [];
  const arrays: readonly ArrayBufferView[] = Array.isArray(result)
    ? result
    : 'latents' in result
      ? [result.latents, result.bytes, ...Object.values(result.rate)]
      : [result as Int16Array];
  // Shared memory is on both sides already.
  const buffers = arrays.map(({ buffer }) => buffer).filter((buffer) => buffer instanceof ArrayBuffer);
  return [...new Set(buffers)];
}
