const listening = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `callback` when the signal is aborted from now on, unless the returned function has been called before. A signal that many
 * wait for gets one listener: platforms warn of a leak when they are many.
 */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined) return () => {};
  let callbacks = listening.get(signal);
  if (callbacks === undefined) {
    const all = new Set<() => void>();
    const run = () => {
      listening.delete(signal);
      for (const each of all) each();
    };
    signal.addEventListener('abort', run, { once: true });
    listening.set(signal, all);
    callbacks = all;
  }
  // Of its own, so that the same callback can wait twice.
  const entry = () => callback();
  callbacks.add(entry);
  return () => callbacks.delete(entry);
}
