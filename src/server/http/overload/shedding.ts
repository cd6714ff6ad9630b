/** What one look at the event loop saw. */
export interface LoopLook {
  /** Since the last look. */
  readonly elapsedMs: number;
  /**
   * Part of the time that the loop was busy since the last look, 0 to 1. Time in which the process waited for
   * a processor counts as busy.
   */
  readonly utilization: number;
  /** Processor time that all threads of the process took since the last look. */
  readonly processorMs: number;
  readonly requests: number;
  /** Turns that had requests, and the longest of them in milliseconds. */
  readonly turns: number;
  readonly longestTurnMs: number;
  /** Connections that made their first request. */
  readonly newcomers: number;
}

/** Busier than this, the loop is taken to have no time left. */
const SATURATED = 0.95;
/**
 * With less processor time than this in a unit of time, other processes or a quota keep the loop from running
 * (load, CFS, steal). Turning requests away would not let it run sooner.
 */
const RUNNING = 0.5;
/** Part of the loop's time that is used while requests are refused. In the rest it accepts connections. */
const AIMED_AT = 0.75;
/** Looks in a row that must find the loop saturated: a garbage collection or a burst is no overload. */
const LOOKS = 2;
/** With fewer requests in a look, something else keeps the loop busy. */
const MANY = 16;
/**
 * One connection is accepted a turn: where nearly every turn has a newcomer, others are waiting behind it.
 * Two clients that take a new connection for each request are enough for that, so it counts only where turns
 * are long on average; a single long one is a garbage collection.
 */
const QUEUEING = 0.8;
/** Part that passes when refusing begins: thousands of requests may be waiting by then. */
const FIRST = 0.1;
/** Some always pass, or nobody could tell that the load is gone. */
const LEAST = 0.02;

/**
 * Which part of the requests the event loop has time for. A loop that is always busy is no trouble as long as
 * its turns are short: a few clients that ask without pause are served at full speed. Long turns and no pause
 * mean that requests, and whole connections, wait in the kernel where nobody sees them, since libuv accepts
 * one connection a turn. Then some requests have to be refused before work is done for them.
 */
export class Shedding {
  readonly #maxTurnMs: number;
  #part = 1;
  #late = 0;
  #credit = 0;

  constructor(maxTurnMs: number) {
    this.#maxTurnMs = maxTurnMs;
  }

  /** Part of the requests that pass, 0 to 1. */
  get part(): number {
    return this.#part;
  }

  /**
   * To be called every few hundredths of a second while requests come. `part` falls fast and rises slowly. It
   * also rises while the loop is busy with short turns: a few clients that ask again as soon as they are
   * refused may cause these, and would otherwise be refused for ever.
   */
  look({ elapsedMs, utilization, processorMs, requests, turns, longestTurnMs, newcomers }: LoopLook): void {
    const used = Math.min(utilization, processorMs / elapsedMs);
    const saturated = utilization > SATURATED && used >= RUNNING;
    const queueing = turns > 1 && newcomers >= QUEUEING * turns && elapsedMs / turns > this.#maxTurnMs / 20;
    const late = saturated && (longestTurnMs > this.#maxTurnMs || queueing);
    this.#late = late ? this.#late + 1 : 0;
    if (this.#part === 1) {
      if (this.#late < LOOKS || requests < MANY) return;
      this.#part = FIRST;
    } else if (late) this.#part *= 0.7;
    else if (saturated && longestTurnMs > this.#maxTurnMs / 2) this.#part *= 0.95;
    else if (saturated) this.#part *= 1.02;
    else if (used < AIMED_AT) this.#part = this.#part * 1.05 + 0.005;
    this.#part = Math.min(1, Math.max(LEAST, this.#part));
  }

  /** Whether this request passes: as many of any hundred as `part` says, evenly spread. */
  passes(): boolean {
    if (this.#part === 1) return true;
    this.#credit += this.#part;
    if (this.#credit < 1) return false;
    this.#credit -= 1;
    return true;
  }
}
