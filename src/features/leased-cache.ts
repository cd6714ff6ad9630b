import { unlessAborted } from '../on-abort.ts';

/** A value that stays open until `release`, whatever the cache decides meanwhile. Release once. */
export interface Lease<V> {
  readonly value: V;
  release(): void;
}

interface Entry<V> {
  readonly value: V;
  /** The load that gave the value: callers that still wait for it are about to take a lease. */
  readonly origin: Pending<V>;
  readonly bytes: number;
  leases: number;
  cached: boolean;
}

interface Pending<V> {
  readonly promise: Promise<Entry<V>>;
  readonly controller: AbortController;
  waiters: number;
}

export interface LeasedCacheOptions<V> {
  /** Most bytes of cached values; leased values that are not cached do not count. */
  readonly maxBytes: number;
  sizeOf(value: V): number;
  /** Called once for each value, when it is neither cached nor leased any longer. */
  close?(value: V): void;
}

/**
 * A cache that keeps the most recently used values, bounded in bytes. All callers of a key share one load,
 * which is aborted when the last of them gives up. A failed load is forgotten, so that the next caller tries
 * again.
 */
export class LeasedCache<V> {
  /** Least recently used first. */
  readonly #cache = new Map<string, Entry<V>>();
  readonly #pending = new Map<string, Pending<V>>();
  readonly #options: LeasedCacheOptions<V>;
  #bytes = 0;
  #closed = false;
  hits = 0;
  misses = 0;

  constructor(options: LeasedCacheOptions<V>) {
    this.#options = options;
  }

  /** Bytes kept now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a value is cached or being loaded. Asking does not count as a use. */
  has(key: string): boolean {
    return this.#cache.has(key) || this.#pending.has(key);
  }

  /** The value of `key`, from the cache or from `load`. Rejects with the signal's reason when aborted. */
  async lease(
    key: string,
    load: (signal: AbortSignal) => Promise<V>,
    signal?: AbortSignal,
  ): Promise<Lease<V>> {
    signal?.throwIfAborted();
    const cached = this.#cache.get(key);
    if (cached !== undefined) {
      this.hits++;
      this.#cache.delete(key);
      this.#cache.set(key, cached);
      return this.#leaseOf(cached);
    }
    this.misses++;
    const pending = this.#pending.get(key) ?? this.#start(key, load);
    pending.waiters++;
    try {
      const entry = await unlessAborted(signal, pending.promise);
      return this.#leaseOf(entry);
    } finally {
      pending.waiters--;
      if (pending.waiters === 0) this.#abandon(key, pending, signal);
    }
  }

  /** Removes a value from the cache; it closes with its last lease. */
  drop(key: string): void {
    const entry = this.#cache.get(key);
    if (!entry) return;
    this.#cache.delete(key);
    this.#bytes -= entry.bytes;
    entry.cached = false;
    this.#closeIfUnused(entry);
  }

  /** Drops all values that are kept; leased ones close with their last lease. */
  clear(): void {
    this.#evict(0);
  }

  /** As `clear`, for good. Aborts loads under way with this reason. */
  close(reason?: unknown): void {
    this.#closed = true;
    for (const pending of this.#pending.values()) pending.controller.abort(reason);
    this.clear();
  }

  /**
   * Called when the last waiter has left: with a lease, or because the load has failed, or because it gave up.
   * Then the load is aborted, if it still runs.
   */
  #abandon(key: string, pending: Pending<V>, signal: AbortSignal | undefined): void {
    if (this.#pending.get(key) === pending) {
      this.#pending.delete(key);
      pending.controller.abort(signal?.reason);
    }
    pending.promise.then(
      (entry) => this.#closeIfUnused(entry),
      () => {},
    );
  }

  #start(key: string, load: (signal: AbortSignal) => Promise<V>): Pending<V> {
    const controller = new AbortController();
    const promise = load(controller.signal).then((value) => {
      const bytes = Math.max(1, this.#options.sizeOf(value));
      const entry: Entry<V> = { value, origin: pending, bytes, leases: 0, cached: false };
      if (this.#pending.get(key) === pending) this.#pending.delete(key);
      if (!this.#closed && bytes <= this.#options.maxBytes) this.#keep(key, entry);
      return entry;
    });
    const pending: Pending<V> = { promise, controller, waiters: 0 };
    this.#pending.set(key, pending);
    return pending;
  }

  #keep(key: string, entry: Entry<V>): void {
    this.drop(key);
    this.#evict(this.#options.maxBytes - entry.bytes);
    entry.cached = true;
    this.#cache.set(key, entry);
    this.#bytes += entry.bytes;
  }

  /** Drops the least recently used values until at most `bytes` are cached. */
  #evict(bytes: number): void {
    for (const key of this.#cache.keys()) {
      if (this.#bytes <= bytes) return;
      this.drop(key);
    }
  }

  #leaseOf(entry: Entry<V>): Lease<V> {
    entry.leases++;
    let released = false;
    return {
      value: entry.value,
      release: () => {
        if (released) return;
        released = true;
        entry.leases--;
        this.#closeIfUnused(entry);
      },
    };
  }

  #closeIfUnused(entry: Entry<V>): void {
    if (entry.cached || entry.leases !== 0 || entry.origin.waiters > 0) return;
    entry.leases = -1; // closed: never again
    this.#options.close?.(entry.value);
  }
}
