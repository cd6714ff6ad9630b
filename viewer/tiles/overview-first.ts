import { delay } from './retry.ts';

/**
 * Lets an overview of the whole picture go before tiles smaller than native. It takes a small part of the
 * time of all these tiles, and shows the picture while they come.
 */
export class OverviewFirst {
  readonly #longestMs: number | undefined;
  #overview: Promise<unknown> | undefined;

  /** `longestMs`: longest wait of tiles. Default: as long as the overview takes. */
  constructor(longestMs?: number) {
    this.#longestMs = longestMs;
  }

  /** Makes tiles wait for this overview from now on. */
  expect<T>(overview: Promise<T>): Promise<T> {
    const settled = overview.then(
      () => undefined,
      () => undefined,
    );
    this.#overview =
      this.#longestMs === undefined ? settled : Promise.race([settled, delay(this.#longestMs)]);
    return overview;
  }

  /** Resolves when the overview has come, has failed, or takes too long. */
  async settled(): Promise<void> {
    await this.#overview;
  }
}
