const NUMBERS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

/** The abort reason of `interruption()`: Ctrl-C or a request to terminate. */
export class Interruption extends Error {
  /** 128 plus the number of the signal, as in shells. */
  readonly exitCode: number;
  constructor(signal: keyof typeof NUMBERS) {
    super(`interrupted (${signal})`);
    this.exitCode = 128 + NUMBERS[signal];
  }
}

/**
 * npm passes Ctrl-C on to a process that has it from the terminal already: a second request this soon is the
 * same one.
 */
const SAME_REQUEST_MS = 500;

/** The longest wait for work that cannot stop at once, such as a call of sharp or a long kernel. */
let patienceMs = 2000;

/**
 * Sets the longest wait after a request to stop, for a command that has something to save or to finish then.
 * 0: it ends at once. Infinity: it ends by itself.
 */
export function waitAtMost(milliseconds: number): void {
  patienceMs = milliseconds;
}

let shared: AbortSignal | undefined;

/**
 * Ends the process as the signal itself would, after the listeners of `exit` have removed temporary files.
 * `process.exit` alone would wait for threads that are in a library, and an SVG of a kilobyte can keep one
 * for hours. The first process of a container, which such a signal does not end, exits with the code.
 */
function endBy(signal: NodeJS.Signals, exitCode: number): never {
  process.on('exit', () => {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
  process.exit(exitCode);
}

/**
 * A signal that is aborted, with an `Interruption`, when the process is asked to stop. A second request exits
 * at once. Temporary files are removed either way.
 */
export function interruption(): AbortSignal {
  if (shared) return shared;
  const controller = new AbortController();
  let askedAt: number | undefined;
  for (const name of Object.keys(NUMBERS) as (keyof typeof NUMBERS)[]) {
    process.on(name, () => {
      const reason = new Interruption(name);
      const now = performance.now();
      if (askedAt !== undefined && now - askedAt <= SAME_REQUEST_MS) return;
      if (askedAt !== undefined || patienceMs === 0) endBy(name, reason.exitCode);
      askedAt = now;
      controller.abort(reason);
      if (patienceMs < Number.POSITIVE_INFINITY)
        setTimeout(() => endBy(name, reason.exitCode), patienceMs).unref();
    });
  }
  shared = controller.signal;
  return shared;
}
