import { type Edition, versionIn } from './edition.ts';
import { TileError } from './tile-source.ts';

/** Longest wait that a server may ask for by Retry-After. */
const MAX_RETRY_AFTER_MS = 60_000;

/** A request without an answer for this long counts as lost. */
export const ANSWER_WITHIN_MS = 120_000;

/**
 * An image of a server, made of `edition`. Rejects with TileError, which says whether and when to try again,
 * or with the signal's reason.
 */
export async function fetchImage(
  url: string,
  init: RequestInit & { signal: AbortSignal },
  edition?: Edition,
): Promise<Blob> {
  const response = await answerTo(url, init);
  try {
    edition?.check(versionIn(response));
  } catch (error) {
    void response.body?.cancel();
    throw error;
  }
  if (response.ok) return response.blob();
  const wait = waitIn(response.headers.get('Retry-After') ?? '');
  void response.body?.cancel();
  const { status } = response;
  const reasons: Record<number, string> = {
    404: 'The picture is no longer there.',
    410: 'The picture is no longer there.',
    503: 'The server is busy.',
  };
  throw new TileError(reasons[status] ?? `The server answered ${status}.`, {
    permanent: status >= 400 && status < 500 && status !== 408 && status !== 429,
    // A longer wait is a failure to report, not one to sit out in silence.
    busy: (status === 503 || status === 429) && !(wait > MAX_RETRY_AFTER_MS),
    retryAfterMs: wait > 0 ? Math.min(wait, MAX_RETRY_AFTER_MS) : undefined,
  });
}

/** The answer, once its head is there. The signal can still abort its body. */
async function answerTo(url: string, init: RequestInit & { signal: AbortSignal }): Promise<Response> {
  const patience = new AbortController();
  // Browsers from before 2024 have no `any`: there, no time limit holds.
  const signal = AbortSignal.any?.([init.signal, patience.signal]) ?? init.signal;
  const timer = setTimeout(() => patience.abort(), ANSWER_WITHIN_MS);
  try {
    return await fetch(url, { ...init, signal });
  } catch (cause) {
    init.signal.throwIfAborted();
    const late = patience.signal.aborted;
    throw new TileError(late ? 'The server does not answer.' : 'The server cannot be reached.', { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** The wait of a `Retry-After` in milliseconds, from its seconds or date; NaN where it has neither. */
function waitIn(header: string): number {
  return /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
}
