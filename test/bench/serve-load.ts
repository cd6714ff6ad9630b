import { Client } from 'undici';
import { seededRandom } from '../../src/train/random.ts';

/** What a closed loop of clients saw: each asks again as soon as it has its answer. */
export interface Load {
  /** Answers with status 200, per second. */
  readonly rate: number;
  /** Milliseconds from the request to the end of a 200. */
  readonly p50: number;
  readonly p99: number;
  /** Answers with any other status, and connections that broke. */
  readonly failed: number;
}

/**
 * `connections` clients for `seconds`, each on a connection of its own that it keeps. `pathOf` gets a number from 0 to 1. The client shares the
 * processors with the server, so it is as light as a client in this language gets: half the work of autocannon.
 */
export async function load(
  url: string,
  pathOf: (random: number) => string,
  connections: number,
  seconds: number,
): Promise<Load> {
  const random = seededRandom(connections);
  const times: number[] = [];
  let failed = 0;
  const begun = performance.now();
  const end = begun + seconds * 1000;
  let last = begun;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = new Client(url, { bodyTimeout: 60_000, headersTimeout: 60_000 });
      while (performance.now() < end) {
        const asked = performance.now();
        const status = await get(client, pathOf(random()));
        last = performance.now();
        if (status === 200) times.push(last - asked);
        else {
          failed++;
          // As a client does that was told to come back.
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
      await client.close();
    }),
  );
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
