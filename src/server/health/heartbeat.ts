const STATES = ['starting', 'ready', 'no-engine', 'draining', 'closed'] as const;
export type HeartState = (typeof STATES)[number];

const TIME = 0;
const STATE = 1;

/** Time and state of the server's thread, in memory that it shares with the thread of the health port. */
export class Heartbeat {
  readonly buffer: SharedArrayBuffer;
  readonly #words: BigInt64Array;

  constructor(buffer = new SharedArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#words = new BigInt64Array(buffer);
  }

  beat(state: HeartState): void {
    Atomics.store(this.#words, TIME, process.hrtime.bigint());
    Atomics.store(this.#words, STATE, BigInt(STATES.indexOf(state)));
  }

  get state(): HeartState {
    return STATES[Number(Atomics.load(this.#words, STATE))]!;
  }

  /** Milliseconds since the last beat. */
  get ageMs(): number {
    return Number(process.hrtime.bigint() - Atomics.load(this.#words, TIME)) / 1e6;
  }
}
