import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { LoopLook } from './shedding.ts';

/** Watches the event loop and the requests that come to it. */
export class LoopWatch {
  readonly #known = new WeakSet<Socket>();
  #utilization = performance.eventLoopUtilization();
  #processor = process.cpuUsage();
  #inTurn = false;
  #counts = nothing();

  /** Begins a look, after a time in which nobody looked. */
  begin(): void {
    this.#utilization = performance.eventLoopUtilization();
    this.#processor = process.cpuUsage();
  }

  /** Counts a request of a connection, and the turn of the loop in which it comes. */
  count(socket: Socket): void {
    this.#counts.requests++;
    if (!this.#known.has(socket)) {
      this.#known.add(socket);
      this.#counts.newcomers++;
    }
    if (this.#inTurn) return;
    this.#inTurn = true;
    const began = performance.now();
    setImmediate(() => {
      this.#counts.turns++;
      this.#counts.longestTurnMs = Math.max(this.#counts.longestTurnMs, performance.now() - began);
      this.#inTurn = false;
    });
  }

  /** Ends a look and begins the next. */
  look(): LoopLook {
    const { utilization, active, idle } = performance.eventLoopUtilization(this.#utilization);
    const { user, system } = process.cpuUsage(this.#processor);
    const seen = {
      elapsedMs: active + idle,
      utilization,
      processorMs: (user + system) / 1000,
      ...this.#counts,
    };
    this.begin();
    this.#counts = nothing();
    return seen;
  }
}

function nothing() {
  return { requests: 0, turns: 0, longestTurnMs: 0, newcomers: 0 };
}
