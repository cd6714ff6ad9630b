/** A longer step may be a pause of the machine, in seconds. */
const SHORTEST_PAUSE = 30;
/** And is one where it is as many times as long as usual. */
const LONGEST = 10;
/** Whose median is the usual step. */
const REMEMBERED = 9;

/** Measures training without the pauses of a machine that slept meanwhile. */
export class StepClock {
  readonly #last: number[] = [];

  /** What a step counts that took so many seconds. The first one counts in full. */
  counted(seconds: number): number {
    const usual = this.#last.toSorted((a, b) => a - b)[this.#last.length >> 1] ?? seconds;
    this.#last.push(seconds);
    if (this.#last.length > REMEMBERED) this.#last.shift();
    return Math.min(seconds, Math.max(SHORTEST_PAUSE, LONGEST * usual));
  }
}
