import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, it, vi } from 'vitest';
import { fetchThumbnail } from '../../viewer/picture/thumbnail.ts';
import { ANSWER_WITHIN_MS, fetchImage } from '../../viewer/tiles/fetch-image.ts';
import { retryDelay } from '../../viewer/tiles/retry.ts';
import { TileError } from '../../viewer/tiles/tile-source.ts';

const asked: string[] = [];
/**
 * Busy at /busy, until a date at /date, and at /once for the first time; silent at /never; else it has an
 * image.
 */
const server = createServer((request, response) => {
  const first = !asked.includes(request.url!);
  asked.push(request.url!);
  if (request.url === '/busy') response.writeHead(503, { 'Retry-After': '60' });
  else if (request.url === '/date')
    response.writeHead(503, { 'Retry-After': new Date(Date.now() + 30_000).toUTCString() });
  else if (request.url === '/never') return;
  else if (request.url === '/once' && first) response.writeHead(503);
  response.end('image');
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
afterAll(() => void server.close());

it('waits as long as the server says, and longer after each failure', () => {
  const busy = new TileError('The server is busy.', { retryAfterMs: 7000 });
  for (const [error, failures, least, most] of [
    [new TileError('no'), 1, 750, 1250],
    [new Error('no'), 3, 3000, 5000],
    [new TileError('no'), 50, 22_500, 37_500],
    [busy, 1, 7000, 7000],
    [busy, 5, 12_000, 20_000],
  ] as const)
    for (let i = 0; i < 20; i++) {
      const delay = retryDelay(error, failures);
      expect(delay).toBeGreaterThanOrEqual(least);
      expect(delay).toBeLessThanOrEqual(most);
    }
});

it('waits until the date that the server says', async () => {
  const { signal } = new AbortController();
  const error: TileError = await fetchImage(`${url}/date`, { signal }).catch((reason) => reason);
  expect(error.retryAfterMs).toBeGreaterThan(20_000);
  expect(error.retryAfterMs).toBeLessThanOrEqual(30_000);
});

it('gives up a request that is never answered, and ends with who has asked', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const late = fetchImage(`${url}/never`, { signal: new AbortController().signal });
    const expected = expect(late).rejects.toMatchObject({
      message: 'The server does not answer.',
      permanent: false,
    });
    await vi.advanceTimersByTimeAsync(ANSWER_WITHIN_MS);
    await expected;
    const asking = new AbortController();
    const left = fetchImage(`${url}/never`, { signal: asking.signal });
    asking.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
  } finally {
    vi.useRealTimers();
    server.closeAllConnections();
  }
});

it('a thumbnail that a busy server did not give is asked for again', async () => {
  const image = await fetchThumbnail(`${url}/once`, new AbortController().signal);
  expect(await image.text()).toBe('image');
  expect(asked.filter((path) => path === '/once')).toHaveLength(2);
});

it('thumbnails of a page that is left keep none of the next page waiting', async () => {
  const page = new AbortController();
  // As many as are asked for at once.
  const left = Promise.allSettled([0, 1].map(() => fetchThumbnail(`${url}/busy`, page.signal)));
  while (asked.filter((path) => path === '/busy').length < 2) await new Promise((go) => setTimeout(go, 5));
  await new Promise((go) => setTimeout(go, 50));
  const next = fetchThumbnail(`${url}/next`, new AbortController().signal);
  page.abort();
  expect((await next).size).toBe(5);
  expect((await left).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});
