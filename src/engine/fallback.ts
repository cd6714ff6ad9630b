import { EngineError } from '../errors.ts';
import { hasFailed } from './arguments.ts';
import type { Engine } from './engine.ts';
import { callsBy, PortableFeatures } from './portable-features.ts';

/** After so many failures in a row the first engine is closed. */
const MAX_FAILURES = 3;

/**
 * Two exact engines as one: the second is asked for each call that the first fails at (EngineError), so no
 * call is lost, and the bytes are the same. Feature maps can be made again on the second engine
 * (PortableFeatures). Closing the result closes both. `onWarning` is called once, the first time that the
 * second engine stands in. Throws EngineError for an engine that is not exact.
 */
export function withFallback(first: Engine, second: Engine, onWarning: (message: string) => void): Engine {
  if (!first.exact || !second.exact) throw new EngineError('Only exact engines stand in for each other');
  let warned = false;
  let failures = 0;
  let closed = false;

  function fail(error: Error): void {
    failures++;
    // Nobody asks it any more: give its memory back.
    if (failures === MAX_FAILURES) void first.close().catch(() => {});
    if (warned) return;
    warned = true;
    onWarning(`${error.message}; the ${second.name} engine stands in`);
  }

  /** Makes a call of the first engine; if that fails, or is not asked, of the second. */
  async function either<T>(
    work: (engine: Engine) => Promise<T>,
    call: readonly unknown[],
    askFirst = true,
  ): Promise<T> {
    if (closed) throw new EngineError('the engine is closed');
    if (askFirst && failures < MAX_FAILURES) {
      try {
        const result = await work(first);
        failures = 0;
        return result;
      } catch (error) {
        if (!hasFailed(error, call) || closed) throw error;
        fail(error);
      }
    }
    return work(second);
  }

  const { name, model, threads, device } = first;
  return {
    ...callsBy(either),
    name,
    exact: true,
    model,
    threads,
    ...(device !== undefined && { device }),
    ...(first.plainSpeed && { plainSpeed: (signal) => first.plainSpeed!(signal) }),
    get broken() {
      return second.broken;
    },
    async features(...call) {
      const [map, maker] = await either(
        async (engine) => [await engine.features(...call), engine] as const,
        call,
      );
      return new PortableFeatures(map, maker, {
        call,
        // The first engine is not asked for a map that the second has made: not to have it is no failure.
        use: (work, args) => either(work, args, maker === first),
      });
    },
    async close() {
      closed = true;
      await Promise.all([first.close(), second.close()]);
    },
  };
}
