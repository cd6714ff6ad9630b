import { EngineError, RequestError } from '../errors.ts';
import type { Model } from '../network/model.ts';
import { hasFailed } from './arguments.ts';
import type { Engine, EngineName, Extent, FeatureMap, Rect } from './engine.ts';

/** After so many failures in a row an engine is not asked any more. */
const MAX_FAILURES = 3;

/**
 * Engines of one kind as one, for several graphics cards. A call goes to the engine with the fewest calls under way, the first of them if several have; a call for
 * pixels goes to the engine that has the features. If an engine fails (EngineError), the others are asked, but not for pixels: features of a lost card have to be
 * made again by the caller (fallback.ts). Closing the result closes all. A single engine is returned as it is. Throws EngineError for none.
 */
export function severalAsOne(engines: readonly Engine[]): Engine {
  if (engines.length === 0) throw new EngineError('There is no engine to choose from');
  return engines.length === 1 ? engines[0]! : new SeveralEngines(engines);
}

/** An engine, and how it is doing. */
interface Lane {
  readonly engine: Engine;
  /** Calls under way. */
  waiting: number;
  /** In a row. */
  failures: number;
}

class SeveralEngines implements Engine {
  readonly name: EngineName;
  readonly exact: boolean;
  readonly model: Model;
  readonly threads: number;
  readonly device?: string;
  readonly plainSpeed?: NonNullable<Engine['plainSpeed']>;
  readonly #lanes: readonly Lane[];
  #closed = false;

  constructor(engines: readonly Engine[]) {
    const [first] = engines;
    this.name = first!.name;
    this.exact = engines.every(({ exact }) => exact);
    this.model = first!.model;
    this.threads = engines.reduce((sum, { threads }) => sum + threads, 0);
    const devices = engines.map(({ device }) => device).filter((device) => device !== undefined);
    if (devices.length > 0) this.device = devices.join(' + ');
    if (engines.every(({ plainSpeed }) => plainSpeed))
      this.plainSpeed = async (signal) => {
        const speeds = await Promise.all(engines.map((engine) => engine.plainSpeed!(signal)));
        return {
          gigaMacs: speeds.reduce((sum, { gigaMacs }) => sum + gigaMacs, 0),
          copyGigabytes: speeds.reduce((sum, { copyGigabytes }) => sum + copyGigabytes, 0),
        };
      };
    this.#lanes = engines.map((engine) => ({ engine, waiting: 0, failures: 0 }));
  }

  readonly analyze: Engine['analyze'] = (...call) =>
    this.#idlest(({ engine }) => engine.analyze(...call), call);

  readonly encodeChunk: Engine['encodeChunk'] = (...call) =>
    this.#idlest(({ engine }) => engine.encodeChunk(...call), call);

  readonly decodeChunk: Engine['decodeChunk'] = (...call) =>
    this.#idlest(({ engine }) => engine.decodeChunk(...call), call);

  readonly features: Engine['features'] = (...call) =>
    this.#idlest(async (lane) => new LaneFeatures(lane, await lane.engine.features(...call)), call);

  readonly pixels: Engine['pixels'] = async (features, ...call) => {
    this.#expectOpen();
    if (!(features instanceof LaneFeatures) || !this.#lanes.includes(features.lane))
      throw new RequestError('The feature map belongs to another engine');
    const { lane, map } = features;
    return counted(lane, () => lane.engine.pixels(map, ...call));
  };

  readonly gradient: Engine['gradient'] = (...call) =>
    this.#idlest(({ engine }) => engine.gradient(...call), call);

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#lanes.map(({ engine }) => engine.close()));
  }

  /** Makes a call of the engine with the fewest under way; if it fails, of the next one. */
  async #idlest<T>(work: (lane: Lane) => Promise<T>, call: readonly unknown[]): Promise<T> {
    this.#expectOpen();
    const asked = new Set<Lane>();
    let failure: unknown = new EngineError('None of the engines works any more');
    for (;;) {
      const left = this.#lanes.filter((lane) => lane.failures < MAX_FAILURES && !asked.has(lane));
      if (left.length === 0) throw failure;
      const lane = left.reduce((best, one) => (one.waiting < best.waiting ? one : best));
      asked.add(lane);
      try {
        const result = await counted(lane, () => work(lane));
        lane.failures = 0;
        return result;
      } catch (error) {
        if (!hasFailed(error, call) || this.#closed) throw error;
        lane.failures++;
        failure = error;
      }
    }
  }

  #expectOpen(): void {
    if (this.#closed) throw new EngineError('the engine is closed');
  }
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
