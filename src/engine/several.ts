import { EngineError, RequestError } from '../errors.ts';
import { hasFailed } from './arguments.ts';
import type { Engine, Extent, FeatureMap, Rect } from './engine.ts';
import { callsBy } from './portable-features.ts';

/** After so many failures in a row an engine is not asked any more. */
const MAX_FAILURES = 3;

/**
 * Engines of one kind as one, for several graphics cards. A call goes to the engine with the fewest calls
 * under way, the first of them if several have; a call for pixels goes to the engine that has the features.
 * If an engine fails (EngineError), the others are asked, but not for pixels: features of a lost card have to
 * be made again by the caller (fallback.ts). Closing the result closes all. A single engine is returned as it
 * is. Throws EngineError for none.
 */
export function severalAsOne(engines: readonly Engine[]): Engine {
  const [first] = engines;
  if (!first) throw new EngineError('There is no engine to choose from');
  if (engines.length === 1) return first;
  const lanes: readonly Lane[] = engines.map((engine) => ({ engine, waiting: 0, failures: 0 }));
  let closed = false;

  function expectOpen(): void {
    if (closed) throw new EngineError('the engine is closed');
  }

  /** Makes a call of the engine with the fewest under way; if it fails, of the next one. */
  async function idlest<T>(work: (lane: Lane) => Promise<T>, call: readonly unknown[]): Promise<T> {
    expectOpen();
    const asked = new Set<Lane>();
    let failure: unknown = new EngineError('None of the engines works any more');
    for (;;) {
      const left = lanes.filter((lane) => lane.failures < MAX_FAILURES && !asked.has(lane));
      if (left.length === 0) throw failure;
      const lane = left.reduce((best, one) => (one.waiting < best.waiting ? one : best));
      asked.add(lane);
      try {
        const result = await counted(lane, () => work(lane));
        lane.failures = 0;
        return result;
      } catch (error) {
        if (!hasFailed(error, call) || closed) throw error;
        lane.failures++;
        failure = error;
      }
    }
  }

  const devices = engines.map(({ device }) => device).filter((device) => device !== undefined);
  return {
    ...callsBy((work, call) => idlest(({ engine }) => work(engine), call)),
    name: first.name,
    exact: engines.every(({ exact }) => exact),
    model: first.model,
    threads: engines.reduce((sum, { threads }) => sum + threads, 0),
    ...(devices.length > 0 && { device: devices.join(' + ') }),
    ...(engines.every(({ plainSpeed }) => plainSpeed) && {
      async plainSpeed(signal) {
        const speeds = await Promise.all(engines.map((engine) => engine.plainSpeed!(signal)));
        return {
          gigaMacs: speeds.reduce((sum, { gigaMacs }) => sum + gigaMacs, 0),
          copyGigabytes: speeds.reduce((sum, { copyGigabytes }) => sum + copyGigabytes, 0),
        };
      },
    }),
    features: (...call) =>
      idlest(async (lane) => new LaneFeatures(lane, await lane.engine.features(...call)), call),
    async pixels(features, ...call) {
      expectOpen();
      if (!(features instanceof LaneFeatures) || !lanes.includes(features.lane))
        throw new RequestError('The feature map belongs to another engine');
      const { lane, map } = features;
      return counted(lane, () => lane.engine.pixels(map, ...call));
    },
    async close() {
      closed = true;
      await Promise.all(engines.map((engine) => engine.close()));
    },
  };
}

/** An engine, and how it is doing. */
interface Lane {
  readonly engine: Engine;
  /** Calls under way. */
  waiting: number;
  /** In a row. */
  failures: number;
}

async function counted<T>(lane: Lane, work: () => Promise<T>): Promise<T> {
  lane.waiting++;
  try {
    return await work();
  } finally {
    lane.waiting--;
  }
}

class LaneFeatures implements FeatureMap {
  readonly lane: Lane;
  readonly map: FeatureMap;
  readonly rect: Rect;
  readonly level: Extent;
  readonly byteLength: number;

  constructor(lane: Lane, map: FeatureMap) {
    this.lane = lane;
    this.map = map;
    this.rect = map.rect;
    this.level = map.level;
    this.byteLength = map.byteLength;
  }

  read(): Promise<Int16Array> {
    return this.map.read();
  }

  close(): void {
    this.map.close();
  }
}
