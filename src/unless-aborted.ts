import { onAbort } from './on-abort.ts';

/** What a promise gives, or the signal's reason if that is aborted first. */
export function unlessAborted<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const give = () => reject(signal?.reason);
    const forget = onAbort(signal, give);
    if (signal?.aborted) give();
    promise.then(resolve, reject).finally(forget);
  });
}
