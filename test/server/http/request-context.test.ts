import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, it, vi } from 'vitest';
import {
  afterThisFile,
  directoryOf,
  encoded,
  eventually,
  picture,
  startServer,
  stuckEngine,
  type TestServer,
} from '../server-fixture.ts';

const directory = await directoryOf({ 'a.liif': await encoded(picture(300, 200)) });

/** Requests that are sent on one connection without waiting for answers. */
async function sentTogether(server: TestServer, paths: readonly string[]): Promise<Socket> {
  let arrived = 0;
  const count = () => arrived++;
  server.server.on('request', count);
  const client = connect(Number(new URL(server.localUrl).port), '127.0.0.1');
  client.on('error', () => {});
  afterThisFile(() => client.destroy());
  await once(client, 'connect');
  client.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''));
  await eventually(() => arrived === paths.length);
  server.server.off('request', count);
  return client;
}

async function counted(server: TestServer, name: string): Promise<number> {
  const metrics = (await server.get('/metrics')).body.toString();
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(metrics)?.[1]);
}

it('requests that wait for another of their connection are given up with it', async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error) => void warnings.push(warning);
  process.on('warning', warned);
  const server = await startServer({ roots: [directory], openEngine: stuckEngine });
  const client = await sentTogether(server, [
    '/a/0/0/0.png',
    ...Array.from({ length: 12 }, (_, i) => `/a/4/${i % 8}/${i >> 3}.png`),
  ]);
  await eventually(async () => (await counted(server, 'liif_queue_running{lane="tile"}')) > 0);
  client.resetAndDestroy();
  await eventually(async () => (await counted(server, 'liif_abandoned_total')) === 13);
  await eventually(async () => (await counted(server, 'liif_queue_running{lane="tile"}')) === 0);
  process.off('warning', warned);
  expect(warnings).toEqual([]);
});

it('answers of one connection are counted once each', async () => {
  const server = await startServer({ roots: [directory] });
  const client = await sentTogether(server, ['/a/file', '/a/file', '/a/file']);
  const taken = vi.fn();
  client.on('data', taken);
  const files = () => counted(server, 'liif_http_requests_total{route="file",status="200"}');
  await eventually(async () => (await files()) === 3);
  client.destroy();
  await eventually(() => client.closed);
  expect([await files(), await counted(server, 'liif_abandoned_total')]).toEqual([3, 0]);
});
