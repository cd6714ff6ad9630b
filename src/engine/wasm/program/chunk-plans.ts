import type { Model } from '../../../network/model.ts';
import type { Extent } from '../../engine.ts';
import type { PackedNetworks } from '../pack/pack.ts';
import { type ChunkPlaces, chunkPlaces, type NetworkPlan, planChunkNetwork } from './chunk-plan.ts';

/** Plans that are kept. Most chunks have the same size, and memory that earlier chunks had. */
const MAX_KEPT = 16;

export interface ChunkPlan {
  readonly places: ChunkPlaces;
  readonly plan: (number: number) => NetworkPlan;
}

/** Plans of chunks. The latest are kept: to make one takes a tenth of the time to decode a small chunk. */
export class ChunkPlans {
  readonly #networks: PackedNetworks;
  readonly #model: Model;
  readonly #kept = new Map<string, ChunkPlan>();

  constructor(networks: PackedNetworks, model: Model) {
    this.#networks = networks;
    this.#model = model;
  }

  /** Each network is planned when it is first asked for. */
  of(chunk: Extent, quality: number, scratch: number): ChunkPlan {
    const key = [chunk.height, chunk.width, quality, scratch].join();
    let result = this.#kept.get(key);
    this.#kept.delete(key);
    if (result === undefined) {
      const plans: NetworkPlan[] = [];
      const places = chunkPlaces(this.#model, chunk, scratch);
      const plan = (number: number) =>
        (plans[number] ??= planChunkNetwork(this.#networks, this.#model, number, chunk, quality, places));
      result = { places, plan };
    }
    this.#kept.set(key, result);
    if (this.#kept.size > MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    return result;
  }
}
