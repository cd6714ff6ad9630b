/** What the one listener of a signal calls. */
interface Listening {
  readonly callbacks: Set<() => void>;
  end(): void;
}

const listening = new WeakMap<AbortSignal, Listening>();

/**
 * Calls `callback` when the signal aborts, unless the returned function has been called before. All callbacks
 * of a signal share one listener, since platforms warn of a leak when there are many. The listener is removed
 * with the last callback, since platforms keep signals of `AbortSignal.any` and `AbortSignal.timeout` alive
 * as long as they have one.
 */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (!signal) return () => {};
  const { callbacks, end } = listening.get(signal) ?? listen(signal);
  // Of its own, so that the same callback can wait twice.
  const entry = () => callback();
  callbacks.add(entry);
  return () => {
    if (callbacks.delete(entry) && callbacks.size === 0) end();
  };
}

function listen(signal: AbortSignal): Listening {
  const callbacks = new Set<() => void>();
  const run = () => {
    listening.delete(signal);
    for (const each of callbacks) each();
  };
  const end = () => {
    signal.removeEventListener('abort', run);
    listening.delete(signal);
  };
  const made = { callbacks, end };
  signal.addEventListener('abort', run, { once: true });
  listening.set(signal, made);
  return made;
}

/** What a promise gives, or the signal's reason if that is aborted first. */
export function unlessAborted<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const give = () => reject(signal?.reason);
    const forget = onAbort(signal, give);
    if (signal?.aborted) give();
    promise.then(resolve, reject).finally(forget);
  });
}
