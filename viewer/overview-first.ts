/**
 * An image of the whole that goes before tiles of a reduction: it takes a small part of the time that they take together, and shows all there is
 * to see while they come.
 */
export class OverviewFirst {
  readonly #longestMs: number | undefined;
  #overview: Promise<unknown> | undefined;

  /** `longestMs`: tiles do not wait for longer; as long as it takes by default. */
  constructor(longestMs?: number) {
    this.#longestMs = longestMs;
  }

  /** What tiles have to wait for from now on. */
  expect<T>(overview: Promise<T>): Promise<T> {
    const settled = overview.then(
      () => undefined,
      () => undefined,
    );
    this.#overview =
      this.#longestMs === undefined ? settled : Promise.race([settled, delay(this.#longestMs)]);
    return overview;
  }

  /** Resolves when the overview has come, or failed, or taken too long. */
  async settled(): Promise<void> {
    await this.#overview;
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
