import { open, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { EngineError } from '../../src/errors.ts';
import { parseModel } from '../../src/network/load.ts';
import { liifArguments } from '../cli/run-liif.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';
import { ended, freePort, installed, started, startRedis } from './redis-server.ts';
import {
  ask,
  directoryOf,
  encoded,
  eventually,
  imageOf,
  picture,
  startServer,
  type TestServer,
  testEngine,
} from './server-fixture.ts';

const one = Buffer.from(await encoded(picture(200, 150)));
const two = Buffer.from(await encoded(picture(200, 150, 3, 77)));

/** What a server with nothing else to do answers. */
async function tileOf(bytes: Buffer, path: string): Promise<Buffer> {
  const server = await startServer({ roots: [await directoryOf({ 'a.liif': bytes })] });
  const answer = await server.get(path);
  expect(answer.status).toBe(200);
  return answer.body;
}

const PATH = '/a/1/0/0.png';
const expectedOne = await tileOf(one, PATH);
const expectedTwo = await tileOf(two, PATH);

function warnings(server: TestServer): string[] {
  return server.log.filter(({ level }) => (level as number) >= 40).map(({ msg }) => String(msg));
}

/** Asks without pause while something happens; every image must be one of the two, and whole. */
async function askingAllTheTime(server: TestServer, happening: () => Promise<void>): Promise<number[]> {
  const statuses: number[] = [];
  let over = false;
  const asking = (async () => {
    while (!over) {
      const { status, body } = await server.get(PATH);
      statuses.push(status);
      if (status === 200) expect(body.equals(expectedOne) || body.equals(expectedTwo)).toBe(true);
    }
  })();
  await happening();
  over = true;
  await asking;
  return statuses;
}

describe('a file', () => {
  it('that is replaced by renaming is served anew, without a gap', async () => {
    const directory = await directoryOf({ 'a.liif': one });
    const server = await startServer({ roots: [directory], tileCacheMb: 0 });
    const statuses = await askingAllTheTime(server, async () => {
      await writeFile(join(directory, '.new'), two);
      await rename(join(directory, '.new'), join(directory, 'a.liif'));
      await eventually(async () => (await server.get(PATH)).body.equals(expectedTwo));
    });
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it('that is written over in place is never mixed', async () => {
    const directory = await directoryOf({ 'a.liif': one });
    const server = await startServer({ roots: [directory], tileCacheMb: 0, featureCacheMb: 0 });
    expect((await server.get(PATH)).body.equals(expectedOne)).toBe(true);
    await askingAllTheTime(server, async () => {
      const handle = await open(join(directory, 'a.liif'), 'r+');
      for (let at = 0; at < two.length; at += 1024) {
        await handle.write(two, at, Math.min(1024, two.length - at), at);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await handle.truncate(two.length);
      await handle.close();
      await eventually(async () => (await server.get(PATH)).body.equals(expectedTwo));
    });
  });

  it('that is truncated is an error with a log line, until it is whole again', async () => {
    const directory = await directoryOf({ 'a.liif': one });
    const server = await startServer({ roots: [directory], tileCacheMb: 0, featureCacheMb: 0 });
    expect((await server.get(PATH)).status).toBe(200);
    await truncate(join(directory, 'a.liif'), one.length >> 1);
    await eventually(async () => (await server.get(PATH)).status === 500);
    expect((await server.get(PATH)).json().type).toBe('urn:liif:problem:damaged-file');
    expect(warnings(server)).toContain('The file of this picture is damaged.');
    await writeFile(join(directory, 'a.liif'), two);
    await eventually(async () => (await server.get(PATH)).body.equals(expectedTwo));
  });

  it('that is deleted is a 404, and one that is added is found', async () => {
    const directory = await directoryOf({ 'a.liif': one });
    const server = await startServer({ roots: [directory] });
    expect((await server.get(PATH)).status).toBe(200);
    await rm(join(directory, 'a.liif'));
    await eventually(async () => (await server.get(PATH)).status === 404);
    await eventually(async () => (await server.get('/api/images')).json().total === 0);
    await writeFile(join(directory, 'b.liif'), two);
    await eventually(async () => (await server.get('/b/1/0/0.png')).status === 200);
    expect((await server.get('/api/images')).json().images).toMatchObject([{ id: 'b' }]);
  });

  it('with a damaged chunk is an error there and nowhere else, to HEAD as to GET', async () => {
    const damaged = Buffer.from(await encoded(picture(600, 420)));
    damaged[damaged.length - 20]! ^= 0xff; // the last chunk: lower right
    const directory = await directoryOf({ 'a.liif': damaged });
    const server = await startServer({ roots: [directory] });
    for (const method of ['HEAD', 'GET'])
      expect((await server.get('/a/2/2/1.png', { method })).status).toBe(500);
    expect((await server.get('/a/2/0/0.png', { method: 'HEAD' })).status).toBe(200);
    expect((await server.get('/health')).status).toBe(200);
  });

  it('that is a plain image and is replaced is served anew', async () => {
    const directory = await directoryOf({ 'p.png': await imageOf(picture(100, 80)).png().toBuffer() });
    const server = await startServer({ roots: [directory] });
    const before = await server.get('/p.png/0/0/0.png');
    await writeFile(
      join(directory, 'p.png'),
      await imageOf(picture(120, 80, 3, 5))
        .png()
        .toBuffer(),
    );
    await eventually(async () => {
      const now = await server.get('/p.png/0/0/0.png');
      return now.status === 200 && now.headers.etag !== before.headers.etag;
    });
    expect((await server.get('/api/images/p.png')).json().width).toBe(120);
  });
});

describe('an engine', () => {
  it('that cannot be opened is in the log, although a list of pictures is given all the same', async () => {
    let fails = true;
    const server = await startServer({
      roots: [await directoryOf({ 'a.liif': one })],
      openEngine: async () => {
        if (fails) throw new EngineError('the kernels do not load');
        return testEngine();
      },
    });
    expect((await server.get('/api/images')).json().failed).toMatchObject([{ code: 'engine-failed' }]);
    expect(server.log).toMatchObject([
      { level: 50, msg: 'no engine can be opened', err: { message: 'the kernels do not load' } },
    ]);
    fails = false;
    expect((await server.get(PATH)).status).toBe(200);
  });

  it('that cannot be opened makes the server not ready, until it can be, though nobody asks for it', async () => {
    let fails = true;
    const server = await startServer({
      roots: [await directoryOf({ 'a.liif': one })],
      openEngine: async () => {
        // As of a file that could not be read.
        if (fails) throw new Error('too many open files');
        return testEngine();
      },
    });
    expect((await server.get('/ready')).status).toBe(200);
    const refused = await server.get(PATH);
    expect([refused.status, refused.json().type]).toEqual([503, 'urn:liif:problem:engine-failed']);
    const ready = await server.get('/ready');
    expect([ready.status, ready.json().status]).toEqual([503, 'no-engine']);
    expect((await server.get('/health')).status).toBe(200);
    fails = false;
    await eventually(async () => (await server.get('/ready')).status === 200);
  });

  it('that dies is replaced, and the request that saw it die is answered all the same', async () => {
    const directory = await directoryOf({ 'a.liif': one });
    const engines: Engine[] = [];
    const server = await startServer({
      roots: [directory],
      tileCacheMb: 0,
      featureCacheMb: 0,
      openEngine: async () => {
        const engine = await testEngine();
        engines.push(engine);
        return engine;
      },
    });
    expect((await server.get(PATH)).body.equals(expectedOne)).toBe(true);
    await engines[0]!.close(); // every call fails from here on, as when its threads are killed
    const answers = await Promise.all(
      [PATH, PATH, '/a/1/0/0.jpg', '/a/0/0/0.png'].map((path) => server.get(path)),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(answers[0]!.body.equals(expectedOne)).toBe(true);
    expect(engines.length).toBe(2);
    expect(warnings(server)).toContain('engine failed and is replaced');
    expect((await server.get('/metrics')).body.toString()).toContain('liif_engine_replacements_total 1');
  });

  it('whose threads are killed is replaced, and no pixel is wrong', async () => {
    const open = () => openEngine(parseModel(tinyModelBytes({ seed: 5 })), { engine: 'wasm', threads: 2 });
    // In a checkout the first engine has threads built, by a thread of the bundler.
    await (await open()).close();
    const threads: Worker[] = [];
    const seen = (worker: Worker) => threads.push(worker);
    process.on('worker', seen);
    try {
      const server = await startServer({
        roots: [await directoryOf({ 'a.liif': one })],
        tileCacheMb: 0,
        featureCacheMb: 0,
        encodingThreads: 0,
        openEngine: open,
      });
      expect((await server.get(PATH)).body.equals(expectedOne)).toBe(true);
      const first = threads.splice(0);
      expect(first).toHaveLength(2);
      // They die while tiles are being made.
      const asked = Array.from({ length: 6 }, () => server.get(PATH));
      await Promise.all(first.map((worker) => worker.terminate()));
      for (const { status, body } of await Promise.all(asked)) {
        expect([200, 503]).toContain(status);
        if (status === 200) expect(body.equals(expectedOne)).toBe(true);
      }
      await eventually(async () => (await server.get(PATH)).body.equals(expectedOne));
      expect(warnings(server)).toContain('engine failed and is replaced');
      expect(threads).toHaveLength(2);
      expect((await server.get('/health')).status).toBe(200);
    } finally {
      process.off('worker', seen);
    }
  });

  it('that cannot be opened is a 503, until it can', async () => {
    const directory = await directoryOf({ 'a.liif': one });
    let broken = true;
    const server = await startServer({
      roots: [directory],
      openEngine: async () => {
        if (broken) {
          const engine = await testEngine();
          await engine.close();
          await engine.decodeChunk(new Uint8Array(16), { height: 1, width: 1 }, 50);
        }
        return testEngine();
      },
    });
    const refused = await server.get(PATH);
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
    broken = false;
    expect((await server.get(PATH)).status).toBe(200);
  });
});

interface SlowEngine extends Engine {
  begun: number;
  aborted: number;
  done: number;
  /** Ends the last call that has begun. */
  finish(): void;
}

/** The engine, counting its calls, each of which takes a while and ends early when aborted. */
function slow(engine: Engine, ms: number): SlowEngine {
  const counted = Object.assign(Object.create(engine), { begun: 0, aborted: 0, done: 0 });
  counted.features = async (...call: Parameters<Engine['features']>) => {
    const signal = call[4];
    counted.begun++;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, ms);
      counted.finish = resolve;
      signal?.addEventListener('abort', () => {
        clearTimeout(timer);
        counted.aborted++;
        reject(signal.reason);
      });
    });
    counted.done++;
    return engine.features(...call);
  };
  counted.close = () => engine.close();
  counted.pixels = (...call: Parameters<Engine['pixels']>) => engine.pixels(...call);
  counted.decodeChunk = (...call: Parameters<Engine['decodeChunk']>) => engine.decodeChunk(...call);
  return counted;
}

describe('a thread that resamples', () => {
  it('that is killed is replaced, and only its own task fails', async () => {
    const threads: Worker[] = [];
    const seen = (worker: Worker) => threads.push(worker);
    process.on('worker', seen);
    try {
      const plain = await imageOf(picture(100, 80)).png().toBuffer();
      const server = await startServer({
        roots: [await directoryOf({ 'p.png': plain })],
        tileCacheMb: 0,
        encodingThreads: 0,
        threads: 2,
      });
      const path = '/p.png/4/3/3.png';
      const before = await server.get(path);
      expect(before.status).toBe(200);
      expect(threads.length).toBeGreaterThan(0);
      const asked = [server.get(path), server.get('/p.png/5/3/3.png')];
      const begun = threads.length;
      await threads.at(-1)!.terminate();
      for (const { status } of await Promise.all(asked)) expect([200, 503]).toContain(status);
      const after = await server.get(path);
      expect(after.status).toBe(200);
      expect(after.body.equals(before.body)).toBe(true);
      expect(threads.length).toBeGreaterThan(begun);
    } finally {
      process.off('worker', seen);
    }
  });
});

describe('clients', () => {
  it('that hang up stop the work, unless another waits for it', async () => {
    const directory = await directoryOf({ 'a.liif': one });
    const engine = slow(await testEngine(), 60_000);
    const server = await startServer({ roots: [directory], openEngine: async () => engine });
    const leaving = new AbortController();
    const left = server.get(PATH, { signal: leaving.signal });
    left.catch(() => {});
    await eventually(() => engine.begun === 1);
    leaving.abort();
    await eventually(() => engine.aborted === 1);
    await expect(left).rejects.toThrow();

    const again = new AbortController();
    const leaver = server.get(PATH, { signal: again.signal });
    leaver.catch(() => {});
    await eventually(() => engine.begun === 2);
    const staying = server.get(PATH);
    await new Promise((resolve) => setTimeout(resolve, 500));
    again.abort();
    await expect(leaver).rejects.toThrow();
    await eventually(async () =>
      (await server.get('/metrics')).body.toString().includes('liif_abandoned_total 2'),
    );
    engine.finish();
    expect((await staying).status).toBe(200);
    expect([engine.begun, engine.aborted, engine.done]).toEqual([2, 1, 1]);
  });

  it('that ask for the same or for neighbours share one decoding', async () => {
    const directory = await directoryOf({ 'a.liif': one });
    const engine = slow(await testEngine(), 200);
    const server = await startServer({ roots: [directory], openEngine: async () => engine });
    const answers = await Promise.all(
      ['/a/1/0/0.png', '/a/1/0/0.png', '/a/2/0/0.png', '/a/2/1/1.webp', '/a/0/0/0.jpg'].map((path) =>
        server.get(path),
      ),
    );
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(engine.begun).toBe(1);
  });

  it('are told to come back when too many ask, and health is answered meanwhile', async () => {
    const directory = await directoryOf({ 'a.liif': one });
    const engine = slow(await testEngine(), 1000);
    const server = await startServer({
      roots: [directory],
      openEngine: async () => engine,
      threads: 1,
      tileQueue: 2,
      tileCacheMb: 0,
      featureCacheMb: 0,
    });
    const asked = Array.from({ length: 24 }, (_, i) => server.get(`/a/${i + 5}/0/0.jpg`));
    await eventually(() => engine.begun > 0);
    let over = false;
    const all = Promise.all(asked).finally(() => {
      over = true;
    });
    expect((await server.get('/health')).status).toBe(200);
    expect(over).toBe(false);
    const answers = await all;
    const refused = answers.filter(({ status }) => status === 503);
    expect(refused.length).toBeGreaterThan(10);
    expect(answers.length - refused.length).toBeGreaterThanOrEqual(4);
    for (const { headers } of refused) {
      expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1);
      expect(headers['cache-control']).toBe('no-store');
    }
    // What is in the cache, or has not changed, is given however full the server is.
    expect((await server.get('/metrics')).body.toString()).toMatch(
      /liif_shed_total\{lane="tile",reason="[a-z-]+"\} \d/,
    );
  });

  it('wait no longer than the limit', async () => {
    const directory = await directoryOf({ 'a.liif': one });
    const engine = slow(await testEngine(), 60_000);
    const server = await startServer({ roots: [directory], openEngine: async () => engine, timeoutMs: 1000 });
    const answer = await server.get(PATH);
    expect([answer.status, answer.json().type]).toEqual([503, 'urn:liif:problem:timeout']);
    await eventually(() => engine.aborted === 1);
  });

  it('that ask for more than ever fits get a 413 that says so', async () => {
    const directory = await directoryOf({ 'a.liif': one });
    const server = await startServer({ roots: [directory], maxOutputArea: 2 ** 26, regionMemoryMb: 16 });
    const answer = await server.get('/iiif/3/a/full/^4000,3000/0/default.jpg');
    expect([answer.status, answer.headers['retry-after']]).toEqual([413, undefined]);
    expect(answer.json()).toMatchObject({ limit: 16 * 2 ** 20, requested: expect.any(Number) });
  });
});

describe('a store of tiles', () => {
  it('keeps tiles for the next process', async () => {
    const directory = await directoryOf({ 'a.liif': one });
    const diskCache = await directoryOf();
    const first = await startServer({ roots: [directory], diskCache });
    await first.get(PATH);
    await eventually(async () => {
      const second = await startServer({ roots: [directory], diskCache });
      const answer = await second.get(PATH);
      expect(answer.body.equals(expectedOne)).toBe(true);
      return (
        answer.headers['server-timing']!.includes('store') &&
        !answer.headers['server-timing']!.includes('render')
      );
    });
  });

  it('on a full disk is done without, with a log line', async () => {
    const directory = await directoryOf({ 'p.png': await imageOf(picture(100, 80)).png().toBuffer() });
    const cache = await directoryOf();
    const port = await freePort();
    // No file may grow in this process: every write fails half way, as on a full disk.
    const child = started('bash', [
      '-c',
      `trap '' XFSZ; ulimit -f 0; exec "$0" "$@"`,
      process.execPath,
      ...liifArguments(['serve', directory, '--port', String(port), '--disk-cache', cache]),
    ]);
    let output = '';
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (part) => {
        output += part;
      });
    const url = `http://127.0.0.1:${port}`;
    await eventually(() =>
      ask(url, '/health').then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
    for (let x = 0; x < 3; x++) expect((await ask(url, `/p.png/3/${x}/0.png`)).status).toBe(200);
    await eventually(() => output.includes('tile store failed; going on without it'));
    expect((await ask(url, '/ready')).json().stores).toEqual({ disk: false });
    child.kill('SIGTERM');
    await ended(child);
    expect(child.exitCode).toBe(0);
  });

  it.skipIf(!installed('redis-server'))(
    'in Redis is shared by servers, and they outlive it (needs redis-server)',
    async () => {
      const port = await freePort();
      const redis = await startRedis(port);
      const directory = await directoryOf({ 'a.liif': one });
      const [first, second] = [
        await startServer({ roots: [directory], redis: `redis://127.0.0.1:${port}` }),
        await startServer({ roots: [directory], redis: `redis://127.0.0.1:${port}` }),
      ];
      // A store that takes long is gone without, so one tile in a row of them is enough.
      let x = 0;
      await eventually(async () => {
        const path = `/a/8/${x++}/0.png`;
        const made = await first.get(path);
        const shared = await second.get(path);
        expect(shared.body.equals(made.body)).toBe(true);
        return /^store;dur=[\d.]+$/.test(String(shared.headers['server-timing']));
      });
      redis.kill('SIGKILL');
      await ended(redis);
      for (let z = 2; z < 6; z++) expect((await first.get(`/a/${z}/0/0.png`)).status).toBe(200);
      expect(warnings(first)).toContain('tile store failed; going on without it');
      expect((await first.get('/ready')).json()).toMatchObject({ status: 'ready', stores: { redis: false } });
      await startRedis(port);
      await eventually(async () => (await first.get('/ready')).json().stores.redis === true);
      await eventually(async () => {
        await first.get('/a/7/0/0.png');
        const answer = await second.get('/a/7/0/0.png');
        return (
          /^store/.test(String(answer.headers['server-timing'])) ||
          first.log.some(({ msg }) => msg === 'tile store works again')
        );
      });
    },
  );
});

it.skipIf(process.platform !== 'linux')(
  'idle connections leave room for the files of pictures, however few may be open',
  async () => {
    const directory = await directoryOf({ 'a.png': await imageOf(picture(100, 80)).png().toBuffer() });
    const port = await freePort();
    const server = liifArguments(['serve', directory, '--port', String(port)]);
    const child = started('bash', ['-c', 'ulimit -n 400; exec "$0" "$@"', process.execPath, ...server]);
    const url = `http://127.0.0.1:${port}`;
    const works = () =>
      ask(url, '/health').then(
        ({ status }) => status === 200,
        () => false,
      );
    await eventually(works);
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    const askKept = (path: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        get(`${url}${path}`, { agent: kept }, (response) => {
          response.resume().once('end', () => resolve(response.statusCode));
        }).once('error', reject);
      });
    expect(await askKept('/health')).toBe(200);
    const idle = Array.from({ length: 450 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    // Those that are too many are closed.
    await eventually(() => idle.some(({ closed }) => closed));
    expect(await askKept('/a.png/0/0/0.png')).toBe(200);
    await rm(join(directory, 'a.png'));
    await writeFile(join(directory, 'b.png'), await imageOf(picture(10, 8)).png().toBuffer());
    await eventually(async () => (await askKept('/b.png/0/0/0.png')) === 200);
    for (const socket of idle) socket.destroy();
    kept.destroy();
    child.kill('SIGTERM');
    await ended(child);
    expect(child.exitCode).toBe(0);
  },
);
