import { once } from 'node:events';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import express from 'express';
import { expect, it } from 'vitest';
import { listen } from '../../../src/server/connections/listen.ts';
import { createApp } from '../../../src/server/index.ts';
import { afterThisFile } from '../../after-file.ts';
import {
  ask,
  directoryOf,
  encoded,
  eventually,
  picture,
  startServer,
  stuckEngine,
  type TestServer,
  testEngine,
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
  client.resume();
  const files = () => counted(server, 'liif_http_requests_total{route="file",status="200"}');
  await eventually(async () => (await files()) === 3);
  client.destroy();
  await eventually(() => client.closed);
  expect([await files(), await counted(server, 'liif_abandoned_total')]).toEqual([3, 0]);
});

function openFiles(name: string): number {
  const linked = (fd: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // Closed since it was listed.
      return '';
    }
  };
  return readdirSync('/proc/self/fd').filter((fd) => linked(fd).endsWith(name)).length;
}

it.runIf(existsSync('/proc/self/fd'))(
  'weights and files of the viewer are opened when it is their turn on their connection',
  async () => {
    const viewer = await directoryOf({ 'index.html': 'page', 'assets/big.js': 'x'.repeat(2 ** 20) });
    const server = await startServer({ roots: [directory], viewer, openEngine: stuckEngine });
    const client = await sentTogether(server, [
      '/a/0/0/0.png',
      '/model/liif-1.safetensors',
      '/assets/big.js',
      '/a/file',
    ]);
    // What comes last has done all it can.
    await eventually(() => openFiles('a.liif') > 0);
    await eventually(async () => (await counted(server, 'liif_queue_running{lane="tile"}')) > 0);
    client.resetAndDestroy();
    await eventually(async () => (await counted(server, 'liif_abandoned_total')) === 4);
    expect([openFiles('liif-1.safetensors'), openFiles('big.js')]).toEqual([0, 0]);
  },
);

it('a viewer that has one page shows pictures on it', async () => {
  const viewer = await directoryOf({ 'index.html': 'page', 'assets/page.js': '' });
  const server = await startServer({ roots: [directory], viewer });
  const answer = await fetch(`${server.localUrl}view?id=a`);
  expect([answer.status, await answer.text()]).toEqual([200, 'page']);
});

it('weights that were asked for behind something else come after it', async () => {
  const server = await startServer({ roots: [directory] });
  const client = await sentTogether(server, ['/a/0/0/0.png', '/model/liif-1.safetensors', '/health']);
  const parts: Buffer[] = [];
  client.on('data', (part: Buffer) => parts.push(part));
  await eventually(() => /"uptimeSeconds"/.test(Buffer.concat(parts).toString('latin1')));
  expect(
    Buffer.concat(parts)
      .toString('latin1')
      .match(/HTTP.1.1 \d+|Content-Type: .*/g),
  ).toEqual([
    'HTTP/1.1 200',
    'Content-Type: image/png',
    'HTTP/1.1 200',
    'Content-Type: application/octet-stream',
    'HTTP/1.1 200',
    'Content-Type: application/json; charset=utf-8',
  ]);
});

it('a client that hung up before the application was asked is nobody to work for', async () => {
  const roots = [await directoryOf({ 'unasked.liif': await encoded(picture(30, 20)) })];
  const app = await createApp({ roots, openEngine: testEngine, logLevel: 'silent' });
  afterThisFile(() => app.close());
  const site = express();
  let ended = false;
  site.use(async (request, _response, next) => {
    if (request.path === '/unasked/file') {
      client.destroy();
      await once(request.socket, 'close');
      ended = true;
    }
    next();
  }, app);
  const server = createServer(site);
  const port = await listen(server, 'port', { port: 0, host: '127.0.0.1' });
  afterThisFile(() => server.close());
  const client = connect(port, '127.0.0.1');
  client.write('GET /unasked/file HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await eventually(() => ended);
  const metrics = (await ask(`http://127.0.0.1:${port}`, '/metrics')).body.toString();
  expect(metrics).toMatch(/^liif_abandoned_total 1$/m);
  expect(openFiles('unasked.liif')).toBe(0);
});
