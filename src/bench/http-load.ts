import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'undici';
import { onAbort } from '../on-abort.ts';

/** What a closed loop of clients saw: each asks again when it has its answer. */
export interface Load {
  /** Answers with status 200 per second. */
  readonly rate: number;
  /** Milliseconds from a request to the end of its 200. NaN where there was none. */
  readonly p50: number;
  readonly p99: number;
  /** Answers with any other status, and connections that broke. */
  readonly failed: number;
}

/**
 * A client that was refused waits as long, in milliseconds, as one that obeys `Retry-After`. Otherwise
 * refusals would be most of what is measured.
 */
const BACK_OFF_MS = 100;

/**
 * Requests of `connections` clients for `seconds`, or until `nextPath` gives none, each on a connection of
 * its own that it keeps. The clients share the processors with the server, so they are as light as clients in
 * this language get. Rejects with the signal's reason.
 */
export async function load(
  url: string,
  nextPath: () => string | undefined,
  connections: number,
  seconds: number,
  signal?: AbortSignal,
): Promise<Load> {
  const times: number[] = [];
  let failed = 0;
  const begun = performance.now();
  const end = begun + seconds * 1000;
  let last = begun;
  const lane = async () => {
    const client = new Client(url, { bodyTimeout: 60_000, headersTimeout: 60_000 });
    const forget = onAbort(signal, () => void client.destroy());
    while (performance.now() < end && !signal?.aborted) {
      const path = nextPath();
      if (path === undefined) break;
      const asked = performance.now();
      const status = await get(client, path);
      last = performance.now();
      if (status === 200) times.push(last - asked);
      else {
        failed++;
        await pause(BACK_OFF_MS);
      }
    }
    forget();
    await client.destroy();
  };
  await Promise.all(Array.from({ length: connections }, lane));
  signal?.throwIfAborted();
  times.sort((a, b) => a - b);
  const at = (part: number) => times[Math.floor(part * (times.length - 1))] ?? Number.NaN;
  return { rate: times.length / ((last - begun) / 1000), p50: at(0.5), p99: at(0.99), failed };
}

/** Status of the answer once all of it is here; 0 where the connection broke. */
function get(client: Client, path: string): Promise<number> {
  return new Promise((resolve) => {
    let status = 0;
    client.dispatch(
      { path, method: 'GET' },
      {
        onConnect() {},
        onHeaders(code) {
          status = code;
          return true;
        },
        onData: () => true,
        onComplete: () => resolve(status),
        onError: () => resolve(0),
      },
    );
  });
}
