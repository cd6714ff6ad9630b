import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { load } from '../../src/bench/http-load.ts';

/** A server, and the paths that it was asked for. */
async function withServer(answer: RequestListener, use: (url: string) => Promise<void>): Promise<string[]> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url!);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
  return asked;
}

it('asks for each path once, and ends when there are no more', async () => {
  const paths = ['/a', '/b', '/c'];
  const asked = await withServer(
    (_, response) => response.end('tile'),
    async (url) => {
      const { rate, p50, failed } = await load(url, () => paths.shift(), 2, Number.POSITIVE_INFINITY);
      expect(failed).toBe(0);
      expect(Math.min(rate, p50)).toBeGreaterThan(0);
    },
  );
  expect(asked.sort()).toEqual(['/a', '/b', '/c']);
});

it('lets a client wait that was refused, instead of asking again at once', async () => {
  const asked = await withServer(
    (_, response) => response.writeHead(503).end(),
    async (url) => {
      const { rate, p50, failed } = await load(url, () => '/a', 1, 0.35);
      expect({ rate, p50 }).toEqual({ rate: 0, p50: Number.NaN });
      expect(failed).toBeGreaterThan(0);
    },
  );
  expect(asked.length).toBeLessThanOrEqual(4);
});

it('stops when it is told to, with answers still to come', async () => {
  await withServer(
    () => {},
    async (url) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error('enough')), 100);
      await expect(load(url, () => '/a', 2, 60, controller.signal)).rejects.toThrow('enough');
    },
  );
});
