import { once } from 'node:events';
import { createServer, Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Worker } from 'node:worker_threads';
import { type Logger, pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  type HealthPort,
  type HealthPortOptions,
  openHealthPort,
} from '../../../src/server/health/health-port.ts';
import type { HeartState } from '../../../src/server/health/heartbeat.ts';
import { Catalog } from '../../../src/server/pictures/catalog/catalog.ts';
import { freePort } from '../redis-server.ts';
import {
  ask,
  directoryOf,
  encoded,
  eventually,
  picture,
  startServer,
  testEngine,
} from '../server-fixture.ts';

const HOST = '127.0.0.1';
const at = (port: number) => `http://${HOST}:${port}/`;
let open: HealthPort[] = [];
afterEach(async () => {
  await Promise.all(open.map((port) => port.close()));
  open = [];
});

const SILENT: Pick<HealthPortOptions, 'host' | 'state' | 'log'> = {
  host: HOST,
  state: () => 'ready',
  log: pino({ level: 'silent' }),
};

async function opened(options: Partial<HealthPortOptions> = {}): Promise<HealthPort> {
  const port = await openHealthPort({ ...SILENT, port: 0, ...options });
  open.push(port);
  return port;
}

function logged(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { log, lines };
}

/** The threads that begin while `work` runs. */
async function threadsOf<T>(work: () => Promise<T>): Promise<{ result: T; threads: Worker[] }> {
  const threads: Worker[] = [];
  const begins = (thread: Worker) => void threads.push(thread);
  process.on('worker', begins);
  const result = await work().finally(() => process.off('worker', begins));
  return { result, threads };
}

/**
 * Asks from a thread of its own, while this one cannot. `hold` keeps this one until so many answers have
 * come, and says whether they have.
 */
async function askedFromElsewhere(port: number, count: number): Promise<{ hold(): boolean }> {
  const answers = new Int32Array(new SharedArrayBuffer(4));
  const asking = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const { get } = require('node:http');
     const { answers, count, port } = workerData;
     const one = () => new Promise((resolve, reject) => {
       get({ host: '${HOST}', port, path: '/health', agent: false }, (r) => { r.resume(); r.on('end', resolve); }).on('error', reject); });
     parentPort.once('message', async () => {
       for (let i = 0; i < count; i++) await one();
       Atomics.store(answers, 0, count); Atomics.notify(answers, 0); });
     one().then(() => parentPort.postMessage('begun'));`,
    { eval: true, workerData: { answers, count, port } },
  );
  await once(asking, 'message');
  return {
    hold() {
      asking.postMessage('ask');
      Atomics.wait(answers, 0, 0, 30_000);
      return Atomics.load(answers, 0) === count;
    },
  };
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
    const { hold } = await askedFromElsewhere(port, 5);
    expect(hold()).toBe(true);
  });

  it('says 503 when the server gives no sign of life, and 200 when it does again', async () => {
    const { port } = await opened({ staleMs: 40 });
    // Beats come every 250 ms: in between the server seems stuck.
    const statuses = new Set<number>();
    await eventually(async () => {
      const { status, json } = await ask(at(port), '/health');
      statuses.add(status);
      expect(json().status).toBe(status === 200 ? 'ready' : 'stuck');
      return statuses.size === 2;
    });
    expect([...statuses].sort()).toEqual([200, 503]);
  });

  it('is ready only while the server is, and well all the time', async () => {
    let state: HeartState = 'starting';
    const { port, beat } = await opened({ state: () => state });
    for (const next of ['starting', 'ready', 'draining', 'closed'] as const) {
      state = next;
      beat();
      expect(await ask(at(port), '/ready')).toMatchObject({ status: next === 'ready' ? 200 : 503 });
      const { status, json } = await ask(at(port), '/health');
      expect({ status, says: json().status }).toEqual({ status: 200, says: next });
    }
    // Without a word, too.
    state = 'ready';
    await eventually(async () => (await ask(at(port), '/ready')).status === 200);
  });

  it('that is taken is named', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, HOST, resolve));
    const { port } = other.address() as AddressInfo;
    const named = `health port ${port} is taken by another program`;
    await expect(openHealthPort({ ...SILENT, port })).rejects.toMatchObject({
      _tag: 'SourceError',
      message: named,
    });
    await expect(startServer({ roots: [await directoryOf()], healthPort: port })).rejects.toThrow(named);
    other.close();
  });

  it('gets a new thread when its own has died, as soon as one can listen, and the log has it all', async () => {
    const { log, lines } = logged();
    const {
      result: { port },
      threads: [thread],
    } = await threadsOf(() => opened({ log }));
    await thread!.terminate();
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, HOST, resolve));
    await eventually(() => lines.length === 2);
    await new Promise((resolve) => other.close(resolve));
    await eventually(async () => (await ask(at(port), '/ready').catch(() => undefined))?.status === 200);
    const gone = { level: 50, healthPort: port, msg: expect.stringContaining('health port does not answer') };
    await eventually(() => lines.length === 3);
    expect(lines).toMatchObject([
      { ...gone, err: { message: expect.stringContaining('exit code 1') } },
      { ...gone, err: { message: `health port ${port} is taken by another program` } },
      { level: 40, healthPort: port, msg: 'health port answers again' },
    ]);
  });

  it('logs what its thread died of', async () => {
    const { log, lines } = logged();
    const { threads } = await threadsOf(() => opened({ log }));
    // What Node does when an exception in a thread is caught by nobody.
    threads[0]!.emit('error', new RangeError('out of memory'));
    await threads[0]!.terminate();
    await eventually(() => lines.length === 1);
    expect(lines).toMatchObject([{ err: { type: 'RangeError', message: 'out of memory' } }]);
  });

  it('that is closed says nothing, and starts no thread any more', async () => {
    const { log, lines } = logged();
    const { threads } = await threadsOf(async () => {
      const health = await opened({ log });
      await health.close();
      await new Promise((resolve) => setTimeout(resolve, 1200));
    });
    expect(threads).toHaveLength(1);
    expect(lines).toEqual([]);
  });
});

describe('a server with a health port', () => {
  it('lives from the beginning, and is ready when its own port listens', async () => {
    const healthPort = await freePort();
    const heard: unknown[] = [];
    const hear = async (when: string) => {
      const [live, ready] = [await ask(at(healthPort), '/health'), await ask(at(healthPort), '/ready')];
      heard.push([when, live.status, ready.status, ready.json().status]);
    };
    const { open } = Catalog;
    vi.spyOn(Catalog, 'open').mockImplementation(async (options) => {
      await hear('before pictures are looked for');
      return open(options);
    });
    const { listen } = Server.prototype;
    vi.spyOn(Server.prototype, 'listen').mockImplementation(function (
      this: Server,
      ...args: Parameters<typeof listen>
    ) {
      void hear('before it listens').then(() => listen.apply(this, args));
      return this;
    } as typeof listen);
    await startServer({ roots: [await directoryOf()], healthPort }).finally(() => vi.restoreAllMocks());
    await hear('then');
    expect(heard).toEqual([
      ['before pictures are looked for', 200, 503, 'starting'],
      ['before it listens', 200, 503, 'starting'],
      ['then', 200, 200, 'ready'],
    ]);
  });

  it('is not ready any more when it stops, and answers there to the end', async () => {
    const server = await startServer({ roots: [await directoryOf()], healthPort: 0, stopMs: 30_000 });
    const url = server.healthUrl!;
    // A request that does not end holds the stop up.
    const client = connect(Number(new URL(server.localUrl).port), HOST);
    client.on('error', () => {});
    const arrived = once(server.server, 'connection');
    client.write('GET /health HTTP/1.1\r\n');
    await arrived;
    const stopped = server.stop();
    expect(await ask(url, '/ready')).toMatchObject({ status: 503 });
    expect((await ask(url, '/health')).status).toBe(200);
    client.destroy();
    await stopped;
    await expect(ask(url, '/ready')).rejects.toThrow('ECONNREFUSED');
  });

  it('is not ready there either when its application is told to drain', async () => {
    const server = await startServer({ roots: [await directoryOf()], healthPort: 0 });
    server.app.drain();
    await eventually(async () => (await ask(server.healthUrl!, '/ready')).json().status === 'draining');
  });

  it('ends it even if something else cannot be closed', async () => {
    const server = await startServer({
      roots: [await directoryOf({ 'a.liif': await encoded(picture(30, 20)) })],
      healthPort: 0,
      openEngine: async () => {
        const engine = await testEngine();
        return new Proxy(engine, {
          get: (target, name) =>
            name === 'close'
              ? () => target.close().then(() => Promise.reject(new Error('the device is lost')))
              : Reflect.get(target, name),
        });
      },
    });
    expect((await server.get('/a/0/0/0.png')).status).toBe(200);
    await expect(server.stop()).rejects.toThrow('the device is lost');
    await expect(ask(server.healthUrl!, '/health')).rejects.toThrow('ECONNREFUSED');
  });
});
