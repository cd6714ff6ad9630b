import { onAbort } from '../on-abort.ts';

/** What a promise gives, or the signal's reason if that is aborted first. */
export async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  let forget = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    const end = () => reject(signal.reason);
    if (signal.aborted) end();
    else forget = onAbort(signal, end);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    forget();
  }
}
