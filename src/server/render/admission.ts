import { onAbort } from '../../on-abort.ts';
import { Problem } from '../problem.ts';

/** `open`, `decode`: plain images are read, and decoded, for all who wait for them, before these come to their own lane. */
export type Lane = 'open' | 'decode' | 'tile' | 'region';

export interface LaneLimits {
  /** Requests that run at a time. */
  readonly running: number;
  /** Requests that may wait. */
  readonly waiting: number;
  /** None is admitted that would wait longer, in milliseconds. */
  readonly maxWaitMs: number;
}

export interface AdmissionOptions {
  readonly lanes: Readonly<Record<Lane, LaneLimits>>;
  /** Bytes that all running requests of the region lane may need together, and those of the decode lane; there one that needs more runs alone. */
  readonly regionBytes: number;
  /** Milliseconds that a lane takes for one of estimated work, until that is known. Default 1: estimates are right, and one request runs at a time. */
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
  /** That running requests need. */
  bytes: number;
  /** Estimated work that got done, and the milliseconds that the lane was busy with it; what is long ago counts less. */
  doneWork: number;
  busyMs: number;
  /** Until when `busyMs` has been counted. */
  countedTo: number;
}

/** What is taken to be done in the beginning. */
const FIRST_WORK = 20;
/** Busy time after which an observation counts half. */
const HALF_LIFE_MS = 2000;

/** A tile that would not be done after so many of the longest waits is turned away, unless the lane is empty. */
const MOST_WAITS = 1.5;

/** Called when the work is over; `done`: how much of it was, 0 to 1, where its client has gone. */
export type Leave = (done?: number) => void;

/**
 * Who may start, who waits, and who is told to come back: tiles and regions in lanes of their own, so that a large region never stands before
 * a tile. Requests are counted by estimated work, so a short queue of expensive ones is as full as a long one of cheap ones.
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

  /** Requests running and waiting, and milliseconds that the lane needs for a millisecond of estimated work, for metrics. */
  counts(lane: Lane): { running: number; waiting: number; pace: number } {
    const state = this.#lanes[lane];
    return { running: state.running.size, waiting: state.waiting.size, pace: paceOf(state) };
  }

  /**
   * Resolves with a function to call when the work is done. Rejects with Problem: 503 with Retry-After when there is no room now, 413 when
   * there never will be; and with the signal's reason.
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
    // What runs shares the processors, so a tile that finds a place may still make all others late.
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
      // The expected wait is a guess; this bounds the real one.
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

  /** Milliseconds until a request that comes now would start: half of what runs, and all that waits. */
  #expectedWait(state: LaneState): number {
    return (runningWork(state) / 2 + state.waitingWork) * paceOf(state);
  }
}

function runningWork({ running }: LaneState): number {
  let sum = 0;
  for (const { work } of running) sum += work;
  return sum;
}

/** How long the lane takes for a unit of estimated work, whatever number of requests shares it: its throughput, not its latency. */
function paceOf({ firstPace, busyMs, doneWork, running, countedTo }: LaneState): number {
  // A half of what runs may be done. Else the first requests of all, while code is being compiled, would make a lane look slow, and so would
  // those that run side by side when the first of them ends.
  let partly = 0;
  for (const { work, begun } of running) partly += Math.min(work / 2, (countedTo - begun) / firstPace);
  return Math.min(100, Math.max(0.01, busyMs / Math.max(1e-3, doneWork + partly)));
}

/** To be called before a change of what runs. */
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
