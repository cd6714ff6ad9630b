import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { Connections } from '../../../src/server/connections/connections.ts';
import { listen } from '../../../src/server/connections/listen.ts';
import { afterThisFile } from '../../after-file.ts';
import { collectGarbage } from '../../fixtures/collect-garbage.ts';
import {
  ask,
  directoryOf,
  encoded,
  eventually,
  picture,
  startServer,
  stuckEngine,
  type TestServer,
} from '../server-fixture.ts';

const directory = await directoryOf({ 'a.liif': await encoded(picture(300, 200)) });
const pathOf = (i: number) => `/a/4/${i % 8}/${i >> 3}.png`;
const CLIENTS = 24;

interface Heard {
  readonly status: number;
  readonly connection: string;
}

/**
 * Clients on a thread of their own, which go on while this one does nothing. Each asks for one tile, or on
 * the same connection for a description and then for the tile. `sent`: holds this thread until the requests
 * for tiles have been sent. `heard`: what became of them.
 */
async function clientsOf(
  server: TestServer,
  kept: boolean,
): Promise<{ sent(): void; heard: Promise<Heard[]> }> {
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const paths = Array.from({ length: CLIENTS }, (_, i) => pathOf(i));
  const thread = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const { Agent, get } = require('node:http');
     const { flag, kept, paths, port } = workerData;
     let sent = 0;
     const one = (agent, path, counts) => new Promise((resolve) => {
       const asked = get({ host: '127.0.0.1', port, path, agent }, (response) => {
         response.resume();
         response.on('end', () => resolve({ status: response.statusCode, connection: response.headers.connection }));
       });
       asked.on('error', (error) => resolve({ status: error.code, connection: 'failed' }));
       if (counts) asked.on('finish', () => { if (++sent === paths.length) { Atomics.store(flag, 0, 1); Atomics.notify(flag, 0); } });
     });
     const agents = paths.map(() => new Agent({ keepAlive: true }));
     (async () => {
       if (kept) await Promise.all(agents.map((agent) => one(agent, '/api/images', false)));
       parentPort.once('message', async () => {
         parentPort.postMessage(await Promise.all(paths.map((path, i) => one(agents[i], path, true))));
       });
       parentPort.postMessage('connected');
     })();`,
    { eval: true, workerData: { flag, kept, paths, port: new URL(server.localUrl).port } },
  );
  await once(thread, 'message');
  return {
    sent() {
      thread.postMessage('ask');
      expect(Atomics.wait(flag, 0, 0, 30_000)).not.toBe('timed-out');
    },
    heard: once(thread, 'message').then(([answers]) => answers as Heard[]),
  };
}

it.each([
  ['on connections that nobody has accepted yet', false],
  ['on connections that were idle', true],
])('what was sent before a server stops is answered, %s', async (_where, kept) => {
  const server = await startServer({ roots: [directory], maxWaitMs: 20_000, stopMs: 20_000 });
  const clients = await clientsOf(server, kept);
  clients.sent();
  // In the same turn of the event loop: it has seen none of them.
  await Promise.all([server.stop(), clients.heard]);
  expect(await clients.heard).toEqual(Array(CLIENTS).fill({ status: 200, connection: 'close' }));
  await expect(server.get('/health')).rejects.toThrow('ECONNREFUSED');
});

it('connections on which nothing was sent do not keep a server from stopping', async () => {
  const server = await startServer({ roots: [directory], stopMs: 20_000 });
  const client = connect(Number(new URL(server.localUrl).port), '127.0.0.1');
  await once(server.server, 'connection');
  const begun = performance.now();
  await server.stop();
  expect(performance.now() - begun).toBeLessThan(15_000);
  client.destroy();
});

it('requests that take too long for a server that stops are told so, and the log does not call that a fault', async () => {
  const server = await startServer({ roots: [directory], stopMs: 300, openEngine: stuckEngine });
  let arrived = 0;
  server.server.on('request', () => arrived++);
  const asked = [0, 1, 1].map((i) => server.get(pathOf(i)));
  await eventually(() => arrived === 3);
  await server.stop();
  for (const { status, headers, json } of await Promise.all(asked))
    expect({ status, type: json().type, retryAfter: headers['retry-after'] }).toEqual({
      status: 503,
      type: 'urn:liif:problem:stopping',
      retryAfter: '5',
    });
  expect(new Set(server.log.map(({ level, msg }) => `${level} ${msg}`))).toEqual(
    new Set(['40 The server is stopping.']),
  );
});

it('a client that takes no answer is cut off', async () => {
  const server = await startServer({ roots: [directory], stopMs: 200 });
  const client = connect(Number(new URL(server.localUrl).port), '127.0.0.1');
  client.on('error', () => {});
  const arrived = once(server.server, 'connection');
  client.write('GET /health HTTP/1.1\r\n');
  await arrived;
  const begun = performance.now();
  await server.stop();
  expect(performance.now() - begun).toBeLessThan(15_000);
  await expect(ask(server.localUrl, '/health')).rejects.toThrow('ECONNREFUSED');
});

it('answers that wait for another of their connection are forgotten when it ends', async () => {
  const server = createServer();
  new Connections(server);
  const port = await listen(server, 'port', { port: 0, host: '127.0.0.1' });
  afterThisFile(() => server.close());
  const answers: WeakRef<ServerResponse>[] = [];
  server.on('request', (_request, response: ServerResponse) => void answers.push(new WeakRef(response)));
  const client = connect(port, '127.0.0.1');
  client.on('error', () => {});
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(3));
  await eventually(() => answers.length === 3);
  client.resetAndDestroy();
  await eventually(() => {
    collectGarbage();
    return answers.every((answer) => answer.deref() === undefined);
  });
});
