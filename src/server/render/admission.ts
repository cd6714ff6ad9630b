import { onAbort } from '../../on-abort.ts';
import { Problem } from '../problem.ts';

/**
 * `open` and `decode` read and decode plain images, once for all requests that wait for them. These requests
 * then enter `tile` or `region`.
 */
export type Lane = 'open' | 'decode' | 'tile' | 'region';

export interface LaneLimits {
  /** Requests that run at a time. */
  readonly running: number;
  /** Requests that may wait. */
  readonly waiting: number;
  /** Milliseconds. A request that would wait longer is turned away. */
  readonly maxWaitMs: number;
}

export interface AdmissionOptions {
  readonly lanes: Readonly<Record<Lane, LaneLimits>>;
  /**
   * Bytes that the running requests of the region lane may need together, and as many those of the decode
   * lane, where a request that needs more runs alone.
   */
  readonly regionBytes: number;
  /**
   * Milliseconds that a lane takes for a millisecond of estimated work, before any is measured. Default 1:
   * estimates are right, and one request runs at a time.
   */
  readonly firstPace?: number;
  /** Called for each request that is turned away. */
  readonly onShed?: (lane: Lane, reason: 'queue-full' | 'wait-too-long' | 'too-large') => void;
}

interface Waiting {
  readonly work: number;
  readonly bytes: number;
  readonly start: () => void;
}

interface Running {
  readonly work: number;
  readonly begun: number;
}

interface LaneState {
  readonly limits: LaneLimits;
  readonly firstPace: number;
  readonly waiting: Set<Waiting>;
  readonly running: Set<Running>;
  waitingWork: number;
  /** Memory of the running requests. */
  bytes: number;
  /**
   * Estimated work that is done, and the milliseconds that the lane was busy with it. Both decay with a
   * half-life of HALF_LIFE_MS.
   */
  doneWork: number;
  busyMs: number;
  /** Time up to which `busyMs` is counted. */
  countedTo: number;
}

/** `doneWork` at the start. */
const FIRST_WORK = 20;
/** Busy time after which an observation counts half. */
const HALF_LIFE_MS = 2000;

/**
 * A tile that would take longer than so many times `maxWaitMs` to be done is turned away, unless nothing runs
 * in its lane.
 */
const MOST_WAITS = 1.5;

/**
 * To be called when the work is over. `done`: the part of the work that was done, 0 to 1, if its client hung
 * up. Default 1.
 */
export type Leave = (done?: number) => void;

/**
 * Decides which requests start, wait, or are turned away. Each kind has a lane of its own, so that a tile
 * never waits behind a large region. Queues are measured by estimated work: a short queue of expensive
 * requests is as full as a long one of cheap requests.
 */
export class Admission {
  readonly #lanes: Readonly<Record<Lane, LaneState>>;
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    const { firstPace = 1 } = options;
    const lane = (limits: LaneLimits): LaneState => ({
      limits,
      firstPace,
      waiting: new Set(),
      running: new Set(),
      waitingWork: 0,
      bytes: 0,
      doneWork: FIRST_WORK,
      busyMs: FIRST_WORK * firstPace,
      countedTo: 0,
    });
    this.#lanes = {
      tile: lane(options.lanes.tile),
      region: lane(options.lanes.region),
      decode: lane(options.lanes.decode),
      open: lane(options.lanes.open),
    };
  }

  /** Bytes that requests of the region lane may need together. */
  get regionBytes(): number {
    return this.#options.regionBytes;
  }

  /**
   * For metrics: requests that run and wait, and milliseconds that the lane needs for a millisecond of
   * estimated work.
   */
  counts(lane: Lane): { running: number; waiting: number; pace: number } {
    const state = this.#lanes[lane];
    return { running: state.running.size, waiting: state.waiting.size, pace: paceOf(state) };
  }

  /**
   * Resolves with a function to call when the work is done. Rejects with Problem: 503 with Retry-After when
   * there is no room now, 413 when there never will be; and with the signal's reason.
   */
  async enter(lane: Lane, work: number, bytes: number, signal: AbortSignal): Promise<Leave> {
    signal.throwIfAborted();
    const state = this.#lanes[lane];
    const { limits } = state;
    if (lane === 'region' && bytes > this.#options.regionBytes) {
      this.#options.onShed?.(lane, 'too-large');
      throw new Problem(
        413,
        'request-too-large',
        'The server never has the memory for this; ask for a smaller image.',
        {
          members: { limit: this.#options.regionBytes, requested: bytes },
        },
      );
    }
    // Running requests share the processors, so one more tile may make all others late although there is a
    // place for it.
    if (lane === 'tile' && state.running.size > 0) {
      const end = (runningWork(state) + state.waitingWork + work) * paceOf(state);
      if (end > limits.maxWaitMs * MOST_WAITS) {
        this.#options.onShed?.(lane, 'wait-too-long');
        throw overloaded(end);
      }
    }
    if (this.#fits(state, lane, bytes) && state.waiting.size === 0)
      return this.#start(state, lane, work, bytes);
    const wait = this.#expectedWait(state);
    if (state.waiting.size >= limits.waiting || wait > limits.maxWaitMs) {
      this.#options.onShed?.(lane, wait > limits.maxWaitMs ? 'wait-too-long' : 'queue-full');
      throw overloaded(wait);
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        forget();
        if (state.waiting.delete(entry)) state.waitingWork -= work;
      };
      const entry: Waiting = {
        work,
        bytes,
        start: () => {
          leave();
          resolve(this.#start(state, lane, work, bytes));
        },
      };
      // The expected wait is a guess; the timer bounds the real one.
      const timer = setTimeout(() => {
        leave();
        this.#options.onShed?.(lane, 'wait-too-long');
        reject(overloaded(this.#expectedWait(state)));
        this.#next(state, lane);
      }, limits.maxWaitMs);
      const forget = onAbort(signal, () => {
        leave();
        reject(signal.reason);
        this.#next(state, lane);
      });
      state.waiting.add(entry);
      state.waitingWork += work;
    });
  }

  #fits(state: LaneState, lane: Lane, bytes: number): boolean {
    if (state.running.size >= state.limits.running) return false;
    if (lane !== 'region' && lane !== 'decode') return true;
    return state.running.size === 0 || state.bytes + bytes <= this.#options.regionBytes;
  }

  #start(state: LaneState, lane: Lane, work: number, bytes: number): Leave {
    countBusy(state);
    const running = { work, begun: state.countedTo };
    state.running.add(running);
    state.bytes += bytes;
    return (done = 1) => {
      if (!state.running.has(running)) return;
      countBusy(state);
      state.doneWork += work * done;
      state.running.delete(running);
      state.bytes -= bytes;
      this.#next(state, lane);
    };
  }

  #next(state: LaneState, lane: Lane): void {
    for (const entry of state.waiting) {
      if (!this.#fits(state, lane, entry.bytes)) return;
      entry.start();
    }
  }

  /** Milliseconds until a new request would start: half of the running work, and all of the waiting work. */
  #expectedWait(state: LaneState): number {
    return (runningWork(state) / 2 + state.waitingWork) * paceOf(state);
  }
}

function runningWork({ running }: LaneState): number {
  let sum = 0;
  for (const { work } of running) sum += work;
  return sum;
}

/**
 * Milliseconds that the lane takes for a millisecond of estimated work: its throughput over all requests that
 * share it, not its latency.
 */
function paceOf({ firstPace, busyMs, doneWork, running, countedTo }: LaneState): number {
  // Up to half of each running request counts as done. Otherwise a lane would look slow during its first
  // requests, when code is compiled, and when the first of several parallel requests ends.
  let partly = 0;
  for (const { work, begun } of running) partly += Math.min(work / 2, (countedTo - begun) / firstPace);
  return Math.min(100, Math.max(0.01, busyMs / Math.max(1e-3, doneWork + partly)));
}

/** Counts the time since the last call as busy if anything runs. To be called before `running` changes. */
function countBusy(state: LaneState): void {
  const now = performance.now();
  if (state.running.size > 0) {
    const ms = now - state.countedTo;
    const kept = 0.5 ** (ms / HALF_LIFE_MS);
    state.busyMs = state.busyMs * kept + ms;
    state.doneWork *= kept;
  }
  state.countedTo = now;
}

function overloaded(wait: number): Problem {
  return new Problem(503, 'overloaded', 'The server is busy; try again soon.', {
    retryAfter: Math.min(60, Math.max(1, Math.ceil(wait / 1000))),
  });
}
