/** npm passes Ctrl-C on to a process that has it from the terminal already: a second request this soon is the same one. */
const SECOND_REQUEST_MS = 500;

/**
 * Signals that ask a server to stop, from the construction of this object on. While nobody waits for `first`, a signal exits the process: as the first
 * process of a container it would ignore signals that it does not handle. The first one afterwards resolves `first`; a later one exits at once.
 */
export class StopRequests {
  #begin: (() => void) | undefined;
  #begunAt: number | undefined;

  constructor() {
    for (const [signal, number] of [
      ['SIGHUP', 1],
      ['SIGINT', 2],
      ['SIGTERM', 15],
    ] as const)
      process.on(signal, () => this.#hear(128 + number));
  }

  /** Resolves when the process is asked to stop. */
  first(): Promise<void> {
    return new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  #hear(exitCode: number): void {
    if (this.#begin === undefined) process.exit(exitCode);
    if (this.#begunAt === undefined) {
      this.#begunAt = performance.now();
      this.#begin();
    } else if (performance.now() - this.#begunAt > SECOND_REQUEST_MS) process.exit(exitCode);
  }
}
