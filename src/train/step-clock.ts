/** Seconds. A shorter step counts in full. */
const SHORTEST_PAUSE = 30;
/** A longer step counts as at most so many usual steps. */
const MOST_USUAL_STEPS = 10;
/** Steps whose median is the usual step. */
const REMEMBERED_STEPS = 9;

/** Measures the time of training without the time in which the machine slept. */
export class StepClock {
  readonly #last: number[] = [];

  /** The seconds that a step counts as. The first step counts in full. */
  counted(seconds: number): number {
    const usual = this.#last.toSorted((a, b) => a - b)[this.#last.length >> 1] ?? seconds;
    this.#last.push(seconds);
    if (this.#last.length > REMEMBERED_STEPS) this.#last.shift();
    return Math.min(seconds, Math.max(SHORTEST_PAUSE, MOST_USUAL_STEPS * usual));
  }
}
