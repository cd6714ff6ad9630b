import { createHash } from 'node:crypto';

/**
 * A second level of cache for finished images, outside the process. It never rejects: a store that fails has
 * no images.
 */
export interface TileStore {
  readonly name: string;
  /** The bytes under a key of 64 hex digits, or undefined. */
  get(key: string): Promise<Buffer | undefined>;
  put(key: string, bytes: Buffer): Promise<void>;
  /** Whether it works now, for /ready and metrics. */
  readonly healthy: boolean;
  close(): Promise<void>;
}

const SUM_LENGTH = 16;
const MAGIC = Buffer.from('LT01');

/** Magic, half of the SHA-256 of key and payload, payload. */
export function sealTile(key: string, payload: Buffer): Buffer {
  return Buffer.concat([MAGIC, sumOf(key, payload), payload]);
}

/** The payload, or undefined if the bytes are not a tile sealed under this key. */
export function unsealTile(key: string, bytes: Buffer): Buffer | undefined {
  if (bytes.length < MAGIC.length + SUM_LENGTH || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
    return undefined;
  const payload = bytes.subarray(MAGIC.length + SUM_LENGTH);
  const sum = bytes.subarray(MAGIC.length, MAGIC.length + SUM_LENGTH);
  return sumOf(key, payload).equals(sum) ? payload : undefined;
}

function sumOf(key: string, payload: Buffer): Buffer {
  return createHash('sha256').update(key).update(payload).digest().subarray(0, SUM_LENGTH);
}

export interface StoreEvents {
  /** A store has begun to fail, or works again. Called once for each change, not for each request. */
  readonly onChange?: (store: string, healthy: boolean, reason: string) => void;
  readonly onCorrupt?: (store: string) => void;
}

/** Decides whether a store is used: after a failure it is left alone for `pauseMs`. */
export class Breaker {
  readonly #name: string;
  readonly #pauseMs: number;
  readonly #events: StoreEvents;
  #until = 0;
  #healthy = true;

  constructor(name: string, pauseMs: number, events: StoreEvents) {
    this.#name = name;
    this.#pauseMs = pauseMs;
    this.#events = events;
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  /** False during the pause after a failure. */
  get open(): boolean {
    return performance.now() >= this.#until;
  }

  failed(reason: string): void {
    this.#until = performance.now() + this.#pauseMs;
    if (!this.#healthy) return;
    this.#healthy = false;
    this.#events.onChange?.(this.#name, false, reason);
  }

  worked(): void {
    this.#until = 0;
    if (this.#healthy) return;
    this.#healthy = true;
    this.#events.onChange?.(this.#name, true, 'works again');
  }
}
