/** Submissions under way at once: while the device works on one, the next is filled. */
const SUBMISSIONS = 2;

/** Work for the device. While it is busy, what comes gathers, and the next submission takes as much of it as goes together. */
export class Gathering<T> {
  readonly #take: (waiting: T[]) => T[];
  readonly #submit: (batch: T[]) => Promise<void>;
  readonly #waiting: T[] = [];
  #submissions = 0;

  /** `take` removes at least one of those that wait; `submit` never rejects. */
  constructor(take: (waiting: T[]) => T[], submit: (batch: T[]) => Promise<void>) {
    this.#take = take;
    this.#submit = submit;
  }

  add(item: T): void {
    this.#waiting.push(item);
    // What else is asked for in this turn goes with it.
    queueMicrotask(() => this.#submitMore());
  }

  #submitMore(): void {
    while (this.#waiting.length > 0 && this.#submissions < SUBMISSIONS) {
      this.#submissions++;
      void this.#submit(this.#take(this.#waiting)).finally(() => {
        this.#submissions--;
        this.#submitMore();
      });
    }
  }
}
