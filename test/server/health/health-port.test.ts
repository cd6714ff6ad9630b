import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { type HealthPort, openHealthPort } from '../../../src/server/health/health-port.ts';
import { ask, directoryOf, startServer } from '../server-fixture.ts';

const HOST = '127.0.0.1';
const at = (port: number) => `http://${HOST}:${port}/`;
let open: HealthPort[] = [];
afterEach(async () => {
  await Promise.all(open.map((port) => port.close()));
  open = [];
});

async function opened(staleMs?: number): Promise<HealthPort> {
  const port = await openHealthPort({ host: HOST, port: 0, ...(staleMs && { staleMs }) });
  open.push(port);
  return port;
}

/** Asks from a thread of its own, while this one cannot. Resolves with the milliseconds that each of `count` answers took. */
async function askedFromElsewhere(port: number, count: number): Promise<() => Promise<number[]>> {
  const asking = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const { get } = require('node:http');
     const one = () => new Promise((resolve, reject) => { const begun = performance.now();
       get({ host: '${HOST}', port: workerData.port, path: '/health', agent: false }, (r) => { r.resume(); r.on('end', () => resolve(performance.now() - begun)); }).on('error', reject); });
     (async () => { await one(); parentPort.postMessage('begun'); const times = [];
       for (let i = 0; i < workerData.count; i++) times.push(await one());
       parentPort.postMessage(times); })();`,
    { eval: true, workerData: { port, count } },
  );
  await new Promise((resolve) => asking.once('message', resolve));
  const times = new Promise<number[]>((resolve, reject) => {
    asking.once('message', resolve);
    asking.once('error', reject);
  });
  return () => times;
}

describe('the health port', () => {
  it('says that the server lives and is ready, to GET and HEAD', async () => {
    const { port } = await opened();
    for (const path of ['/health', '/ready', '/health?from=balancer']) {
      const answer = await ask(at(port), path);
      expect(answer.status).toBe(200);
      expect(answer.json()).toMatchObject({ status: 'ready', uptimeSeconds: expect.any(Number) });
    }
    expect(await ask(at(port), '/health', { method: 'HEAD' })).toMatchObject({
      status: 200,
      body: Buffer.alloc(0),
    });
    expect((await ask(at(port), '/a/0/0/0.png')).status).toBe(404);
    expect((await ask(at(port), '/health', { method: 'POST' })).status).toBe(404);
  });

  it('answers while the event loop of the server is held', async () => {
    const { port } = await opened();
    const times = await askedFromElsewhere(port, 5);
    const until = performance.now() + 600;
    while (performance.now() < until);
    expect(Math.max(...(await times()))).toBeLessThan(300);
  });

  it('says 503 when the server gives no sign of life, and 200 when it does again', async () => {
    const { port } = await opened(40);
    // Beats come every 250 ms: in between the server seems stuck.
    const statuses = new Set<number>();
    for (let i = 0; i < 40 && statuses.size < 2; i++) {
      const { status, json } = await ask(at(port), '/health');
      statuses.add(status);
      expect(json().status).toBe(status === 200 ? 'ready' : 'stuck');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect([...statuses].sort()).toEqual([200, 503]);
  });

  it('is not ready, but well, while the server drains', async () => {
    const health = await opened();
    health.set('draining');
    expect((await ask(at(health.port), '/ready')).status).toBe(503);
    expect(await ask(at(health.port), '/health')).toMatchObject({ status: 200 });
  });

  it('that is taken is named', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, HOST, resolve));
    const { port } = other.address() as AddressInfo;
    await expect(openHealthPort({ host: HOST, port })).rejects.toThrow(
      `health port ${port} is taken by another program`,
    );
    await expect(startServer({ roots: [await directoryOf()], healthPort: port })).rejects.toThrow(
      `health port ${port} is taken by another program`,
    );
    other.close();
  });

  it('belongs to a server that was asked for one, and ends last', async () => {
    const server = await startServer({ roots: [await directoryOf()], healthPort: 0 });
    const url = server.healthUrl!;
    expect((await ask(url, '/ready')).status).toBe(200);
    await server.stop();
    await expect(ask(url, '/ready')).rejects.toThrow('ECONNREFUSED');
  });
});
