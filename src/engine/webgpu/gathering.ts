/** Submissions under way at a time: while the device works on one, the next is recorded. */
const SUBMISSIONS = 2;

/**
 * A queue of work for the device. While the device is busy, items gather; the next submission takes as many
 * as can be done together.
 */
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
    // In a microtask, so that items of the same turn go together.
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
