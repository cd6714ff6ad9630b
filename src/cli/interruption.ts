/** The abort reason of `interruption()`: Ctrl-C or a request to terminate. */
export class Interruption extends Error {
  /** 128 plus the number of the signal, as in shells. */
  readonly exitCode: number;
  constructor(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP') {
    super(`interrupted (${signal})`);
    this.exitCode = 128 + { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 }[signal];
  }
}

/** The longest wait for work that cannot stop at once, such as a call of sharp or a long kernel. */
let patienceMs = 2000;

/** Sets the longest wait of a command that has something to save when it is stopped. */
export function waitAtMost(milliseconds: number): void {
  patienceMs = milliseconds;
}

let shared: AbortSignal | undefined;

/**
 * Ends the process as the signal itself would, after the listeners of `exit` have removed temporary files. `process.exit` alone would wait for threads that
 * are in a library, and an SVG of a kilobyte can keep one for hours.
 */
function endBy(signal: NodeJS.Signals, exitCode: number): never {
  process.on('exit', () => {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
  process.exit(exitCode);
}

/** A signal that is aborted, with an `Interruption`, when the process is asked to stop. A second request exits at once. Temporary files are removed either way. */
export function interruption(): AbortSignal {
  if (shared) return shared;
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      const reason = new Interruption(name);
      if (controller.signal.aborted) endBy(name, reason.exitCode);
      controller.abort(reason);
      setTimeout(() => endBy(name, reason.exitCode), patienceMs).unref();
    });
  }
  shared = controller.signal;
  return shared;
}
