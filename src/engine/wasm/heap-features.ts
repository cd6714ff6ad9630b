import { EngineError } from '../../errors.ts';
import type { Extent, FeatureMap, Rect } from '../engine.ts';
import type { Region, WasmHeap } from './heap.ts';

/** P in wasm memory. The memory is freed when the map is closed and no job uses it. */
export class HeapFeatures implements FeatureMap {
  readonly rect: Rect;
  readonly level: Extent;
  readonly region: Region;
  readonly #heap: WasmHeap;
  #users = 0;
  #closed = false;

  /** Owns the memory of `region` from now on. `region` covers `rect`. */
  constructor(heap: WasmHeap, region: Region, rect: Rect, level: Extent) {
    this.#heap = heap;
    this.region = region;
    this.rect = rect;
    this.level = level;
  }

  get byteLength(): number {
    const { rect, channels } = this.region;
    return rect.height * rect.width * channels * 2;
  }

  belongsTo(heap: WasmHeap): boolean {
    return heap === this.#heap;
  }

  async read(): Promise<Int16Array> {
    if (this.#closed) throw new EngineError('the feature map is closed');
    return this.#heap.read(this.region, this.rect);
  }

  /**
   * Keeps the memory until the returned function is called. Throws EngineError for a closed map that nothing
   * uses.
   */
  use(): () => void {
    if (this.#closed && this.#users === 0) throw new EngineError('the feature map is closed');
    this.#users++;
    return () => {
      this.#users--;
      this.#freeIfUnused();
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#freeIfUnused();
  }

  #freeIfUnused(): void {
    if (this.#closed && this.#users === 0) this.#heap.free(this.region.address);
  }
}
