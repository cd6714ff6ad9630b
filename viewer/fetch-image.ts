import { type Edition, versionIn } from './edition.ts';
import { TileError } from './tile-source.ts';

/** Longest wait that a server may ask for. */
const MAX_RETRY_AFTER_MS = 60_000;

/** An image of a server, made of `edition`. Rejects with TileError, which says whether and when to try again, or with the reason of the signal. */
export async function fetchImage(
  url: string,
  init: RequestInit & { signal: AbortSignal },
  edition?: Edition,
): Promise<Blob> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (cause) {
    init.signal.throwIfAborted();
    throw new TileError('The server cannot be reached.', { cause });
  }
  try {
    edition?.check(versionIn(response));
  } catch (error) {
    void response.body?.cancel();
    throw error;
  }
  if (response.ok) return response.blob();
  const wait = Number(response.headers.get('Retry-After') ?? Number.NaN);
  void response.body?.cancel();
  const { status } = response;
  const reasons: Record<number, string> = {
    404: 'The picture is no longer there.',
    410: 'The picture is no longer there.',
    503: 'The server is busy.',
  };
  throw new TileError(reasons[status] ?? `The server answered ${status}.`, {
    permanent: status >= 400 && status < 500 && status !== 408 && status !== 429,
    busy: status === 503 || status === 429,
    retryAfterMs: wait > 0 ? Math.min(wait * 1000, MAX_RETRY_AFTER_MS) : undefined,
  });
}
