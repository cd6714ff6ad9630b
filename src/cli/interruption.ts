/** The reason of the signal that stops all work: Ctrl-C or a request to terminate. */
export class Interruption extends Error {
  /** 128 and the number of the signal, as shells have it. */
  readonly exitCode: number;
  constructor(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP') {
    super(`interrupted (${signal})`);
    this.exitCode = 128 + { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 }[signal];
  }
}

/** Work that cannot stop at once (a running sharp call, a long kernel) is not waited for longer than this. */
let patienceMs = 2000;

/** For commands that have something to save when they are stopped. */
export function waitAtMost(milliseconds: number): void {
  patienceMs = milliseconds;
}

let shared: AbortSignal | undefined;

/**
 * Ends the process as the signal itself would. `process.exit` alone waits for threads that are in a library, and an SVG of a kilobyte keeps one for hours; what has to be
 * cleared away before, such as temporary files, is.
 */
function endBy(signal: NodeJS.Signals, exitCode: number): never {
  process.on('exit', () => {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
  process.exit(exitCode);
}

/** Aborted, with an `Interruption`, when the process is asked to stop; a second request exits at once. Temporary files go in either case. */
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
