import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ContainerWriter, MemorySink } from '../../../../src/container/write.ts';
import { encodeImage } from '../../../../src/encode.ts';
import type { Engine } from '../../../../src/engine/engine.ts';
import { openReferenceEngine } from '../../../../src/engine/reference/reference-engine.ts';
import { parseModel } from '../../../../src/network/load.ts';
import { memorySource } from '../../../../src/reader/memory-source.ts';
import { openReader } from '../../../../src/reader/reader.ts';
import { tinyModelBytes } from '../../../fixtures/tiny-model.ts';
import {
  directoryOf,
  encoded,
  eventually,
  imageOf,
  picture,
  startServer,
  testEngine,
} from '../../server-fixture.ts';

const png = await imageOf(picture(120, 90)).png().toBuffer();
const directory = await directoryOf();
const server = await startServer({
  roots: [directory],
  allowUpload: true,
  uploadMb: 1,
  maxPlainPixels: 1_000_000,
});

const send = (query: string, body: Uint8Array, headers: Record<string, string> = {}) =>
  server.get(`/api/images?${query}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'image/png', ...headers },
  });

/**
 * An engine that never ends the analysis of a picture, or not the first `calls`, unless it is not wanted any
 * more.
 */
async function stuckEngine(calls = Number.POSITIVE_INFINITY, onStuck = () => {}): Promise<Engine> {
  const engine = await testEngine();
  let left = calls;
  const analyze: Engine['analyze'] = async (...call) => {
    if (left-- <= 0) return engine.analyze(...call);
    onStuck();
    const signal = call[4];
    signal?.throwIfAborted();
    return new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
  };
  return new Proxy(engine, {
    get: (target, name) => (name === 'analyze' ? analyze : Reflect.get(target, name)),
  });
}

describe('an image that is sent', () => {
  it('has an address that allows POST', async () => {
    for (const method of ['OPTIONS', 'PUT'])
      expect((await server.get('/api/images', { method })).headers.allow).toBe('GET, HEAD, POST, OPTIONS');
  });

  it('becomes a picture of the server, and its progress can be watched', async () => {
    const accepted = await send('name=holiday%201.png&quality=40', png);
    expect(accepted.status).toBe(202);
    const { job, id } = accepted.json();
    expect(id).toBe('holiday 1');
    expect(accepted.headers.location).toBe(`/api/jobs/${job}`);
    const events = await server.get(`/api/jobs/${job}`, { headers: { accept: 'text/event-stream' } });
    const states = events.body
      .toString()
      .split('\n\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line.replace('data: ', '')));
    expect(states.at(-1)).toMatchObject({
      state: 'done',
      progress: 1,
      image: { id: 'holiday 1', width: 120, height: 90, quality: 40, kind: 'liif' },
    });
    expect((await server.get(states.at(-1).image.thumbnail)).status).toBe(200);
    expect((await server.get(`/api/jobs/${job}`)).json().state).toBe('done');
  });

  it('as a .liif is kept as it is, if it can be shown', async () => {
    const file = await encoded(picture(70, 50));
    const { job } = (await send('name=made%20elsewhere.liif', file)).json();
    await eventually(async () => (await server.get(`/api/jobs/${job}`)).json().state === 'done');
    const kept = await server.get('/made%20elsewhere/file');
    expect(kept.body.equals(Buffer.from(file))).toBe(true);
    const damaged = await send('name=damaged', file.slice(0, 60));
    expect([damaged.status, damaged.json().type]).toEqual([415, 'urn:liif:problem:damaged-file']);
    const foreign = await encodeImage(
      openReferenceEngine(parseModel(tinyModelBytes({ seed: 6 }))),
      picture(70, 50),
      { chunkSize: 8 },
    );
    expect((await send('name=foreign', foreign)).json().type).toBe('urn:liif:problem:unknown-model');
    expect(await readdir(directory)).not.toContain('damaged.liif');
    expect(await readdir(directory)).not.toContain('foreign.liif');
  });

  it.each(['wrong', 'right'])(
    'as a .liif of garbage, with checksums that are %s, is not kept',
    async (checksums) => {
      const file = await encoded(picture(70, 50));
      const reader = await openReader(memorySource(file, 'a.liif'));
      const random = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 151 + 91) % 251);
      let forged = new Uint8Array([
        ...file.slice(0, reader.prefixLength),
        ...random(file.length - reader.prefixLength),
      ]);
      if (checksums === 'right') {
        const sink = new MemorySink();
        const writer = await ContainerWriter.begin(sink, reader.header, []);
        for (const { length } of reader.entries) await writer.appendChunk(random(length));
        await writer.end();
        forged = new Uint8Array(sink.bytes());
      }
      const { job } = (await send(`name=forged`, forged)).json();
      const state = async () => (await server.get(`/api/jobs/${job}`)).json();
      await eventually(async () => (await state()).state === 'failed');
      expect((await state()).problem).toMatchObject({ status: 415, type: 'urn:liif:problem:damaged-file' });
      expect(await readdir(directory)).not.toContain('forged.liif');
    },
  );

  it('that cannot be written is an error of the log; one that cannot be decoded is a warning', async () => {
    const root = await directoryOf();
    const other = await startServer({ roots: [root], allowUpload: true, watch: false });
    const failed = async (body: Uint8Array) => {
      const accepted = await other.get('/api/images?name=lost', { method: 'POST', body });
      const { job } = accepted.json();
      const state = async () => (await other.get(`/api/jobs/${job}`)).json();
      await eventually(async () => (await state()).state === 'failed');
      const { level } = other.log.filter(({ msg }) => msg === 'an uploaded image was not encoded').at(-1)!;
      return [level, (await state()).problem.status];
    };
    expect(await failed(png.subarray(0, png.length / 2))).toEqual([40, 415]);
    await rm(root, { recursive: true });
    expect(await failed(png)).toEqual([50, 500]);
  });

  it('never takes the place of another', async () => {
    for (let i = 0; i < 2; i++) await send('name=same', png);
    await eventually(
      async () => (await readdir(directory)).filter((name) => name.startsWith('same')).length === 2,
    );
    expect((await readdir(directory)).sort()).toEqual(expect.arrayContaining(['same-2.liif', 'same.liif']));
  });

  it('does not take the id of a picture of any kind, or of another root', async () => {
    const jpeg = await imageOf(picture(40, 30)).jpeg().toBuffer();
    const liif = await encoded(picture(40, 30));
    const other = await startServer({
      roots: [await directoryOf({ 'fiat.jpg': jpeg }), await directoryOf({ 'pic.liif': liif })],
      allowUpload: true,
    });
    const idOf = async (name: string) => {
      const answer = await other.get(`/api/images?name=${name}`, { method: 'POST', body: liif });
      return answer.json().id;
    };
    expect(await idOf('fiat.jpg.png')).toBe('fiat');
    expect(await idOf('pic')).toBe('pic-2');
  });

  it('gets another name where a file came while it was encoded, which stays', async () => {
    const large = await imageOf(picture(900, 700)).jpeg().toBuffer();
    const { job } = (await send('name=late', large)).json();
    await writeFile(join(directory, 'late.liif'), 'of somebody else');
    await eventually(async () => (await server.get(`/api/jobs/${job}`)).json().state === 'done');
    expect((await server.get(`/api/jobs/${job}`)).json()).toMatchObject({
      id: 'late-2',
      image: { id: 'late-2', width: 900 },
    });
    expect(await readFile(join(directory, 'late.liif'), 'utf8')).toBe('of somebody else');
    await rm(join(directory, 'late.liif'));
  });

  it('never takes the place of one that another server has put into the folder at the same time', async () => {
    const shared = await directoryOf();
    const servers = await Promise.all([0, 1].map(() => startServer({ roots: [shared], allowUpload: true })));
    const sizes = [120, 130];
    for (let round = 0; round < 4; round++) {
      const ids = await Promise.all(
        servers.map(async (one, i) => {
          const body = await imageOf(picture(sizes[i]!, 90)).png().toBuffer();
          const { job } = (await one.get(`/api/images?name=p${round}`, { method: 'POST', body })).json();
          const state = async () => (await one.get(`/api/jobs/${job}`)).json();
          await eventually(async () => (await state()).state === 'done');
          expect((await state()).image.width).toBe(sizes[i]);
          return (await state()).id;
        }),
      );
      expect(ids.sort()).toEqual([`p${round}`, `p${round}-2`]);
    }
    expect(await readdir(shared)).toHaveLength(8);
  });

  it.each(['api', 'dzi', 'iiif', 'Assets', 'openapi.json'])('as %s gets another name', async (name) => {
    const answer = await send(`name=${name}`, png);
    expect(answer.json().id).toBe(`${name}-2`);
  });

  it.each([
    ['name=..%2Fescape', 400],
    ['name=.hidden', 400],
    ['name=a%00b', 400],
    ['name=a%5Cb', 400],
    [`name=${'x'.repeat(101)}`, 400],
    [`name=${encodeURIComponent('圖'.repeat(67))}`, 400],
    ['name=.jpg.png', 400],
    ['name=a&quality=0', 400],
    ['name=a&quality=1e2', 400],
  ])('with %s is refused', async (query, status) => {
    expect((await send(query, png)).status).toBe(status);
  });

  it('with a long row of endings is refused before any is taken off', async () => {
    expect((await send(`name=a${'.jpg'.repeat(100)}`, png)).status).toBe(400);
    expect((await send(`name=a${'.jpg'.repeat(3500)}`, png)).status).toBe(414);
  });

  it('that is none, too large or empty is refused', async () => {
    expect(
      (await send('name=a', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')))
        .status,
    ).toBe(415);
    expect((await send('name=a', Buffer.from('no image'))).status).toBe(415);
    expect((await send('name=a', Buffer.alloc(2 ** 20 + 1))).status).toBe(413);
    expect((await send('name=a', new Uint8Array())).status).toBe(400);
    const large = await imageOf(picture(1001, 1000)).jpeg({ quality: 20 }).toBuffer();
    expect((await send('name=a', large)).status).toBe(413);
  });

  it('may have a long name of letters of several bytes', async () => {
    const name = '圖'.repeat(66);
    const { job } = (await send(`name=${encodeURIComponent(name)}`, await encoded(picture(40, 30)))).json();
    await eventually(async () => (await server.get(`/api/jobs/${job}`)).json().state === 'done');
    expect(await readdir(directory)).toContain(`${name}.liif`);
  });

  it('by a page of another site is refused', async () => {
    expect((await send('name=a', png, { origin: 'https://evil.example' })).status).toBe(403);
    expect((await send('name=a', png, { origin: 'null' })).status).toBe(403);
    expect((await send('name=b', png, { origin: server.localUrl.replace(/\/$/, '') })).status).toBe(202);
  });

  it('by a page of this server is taken behind a proxy too', async () => {
    const roots = [await directoryOf()];
    const known = await startServer({ roots, allowUpload: true, publicUrl: 'https://pictures.example/all/' });
    const told = await startServer({
      roots,
      allowUpload: true,
      trustProxy: true,
      allowedHosts: ['pictures.example'],
    });
    const proxied = { 'x-forwarded-host': 'pictures.example', 'x-forwarded-proto': 'https' };
    for (const [proxy, path] of [
      [known, '/all/api/jobs/'],
      [told, '/api/jobs/'],
    ] as const) {
      const sent = (origin: string) =>
        proxy.get('/api/images?name=a', { method: 'POST', body: png, headers: { ...proxied, origin } });
      const answer = await sent('https://pictures.example');
      expect([answer.status, answer.headers.location]).toEqual([202, path + answer.json().job]);
      expect((await sent('https://evil.example')).status).toBe(403);
      expect((await sent('http://pictures.example')).status).toBe(403);
    }
    // Without either, nobody can know.
    const headers = { ...proxied, origin: 'https://pictures.example' };
    expect((await send('name=a', png, headers)).status).toBe(403);
  });

  it('is given up when it is not wanted any more, running or waiting, and leaves nothing behind', async () => {
    const folder = await directoryOf();
    let stuck = false;
    const busy = await startServer({
      roots: [folder],
      allowUpload: true,
      openEngine: () =>
        stuckEngine(1, () => {
          stuck = true;
        }),
    });
    const jobs: string[] = [];
    for (const name of ['first', 'second', 'third'])
      jobs.push((await busy.get(`/api/images?name=${name}`, { method: 'POST', body: png })).json().job);
    const state = async (i: number) => (await busy.get(`/api/jobs/${jobs[i]}`)).json();
    const cancel = (job = '00000000-0000-0000-0000-000000000000', headers: Record<string, string> = {}) =>
      busy.get(`/api/jobs/${job}`, { method: 'DELETE', headers });
    const canceled = { state: 'failed', problem: { type: 'urn:liif:problem:canceled', status: 409 } };
    expect((await cancel(jobs[1])).status).toBe(204);
    // It need not wait for its turn to say so.
    expect(await state(1)).toMatchObject(canceled);
    await eventually(() => stuck);
    expect((await state(0)).state).toBe('running');
    expect((await cancel(jobs[0])).status).toBe(204);
    await eventually(async () => (await state(2)).state === 'done');
    expect(await state(0)).toMatchObject(canceled);
    expect((await cancel(jobs[2])).json().type).toBe('urn:liif:problem:done');
    expect((await cancel(jobs[2], { origin: 'https://evil.example' })).status).toBe(403);
    expect((await cancel()).status).toBe(404);
    expect(await readdir(folder)).toEqual(['third.liif']);
    expect(busy.log.filter(({ id }) => id === 'first' || id === 'second')).toEqual([]);
  });

  it('is given up by a server that stops, still coming or already being encoded, and whoever waits is told', async () => {
    const folder = await directoryOf();
    const ending = await startServer({
      roots: [folder],
      allowUpload: true,
      openEngine: () => stuckEngine(),
      stopMs: 300,
    });
    const sent = (headers: Record<string, string>) =>
      ending.get('/api/images?name=a', { method: 'POST', body: png, headers });
    const { job } = (await sent({})).json();
    let arrived = 0;
    ending.server.on('request', () => arrived++);
    const watched = ending.get(`/api/jobs/${job}`, { headers: { accept: 'text/event-stream' } });
    const coming = sent({ 'content-length': String(png.length + 1) });
    await eventually(() => arrived === 2);
    await ending.stop();
    expect((await watched).body.toString()).toMatch(/"state":"failed".*urn:liif:problem:stopping.*\n\n$/);
    expect((await coming).json()).toMatchObject({ status: 503, type: 'urn:liif:problem:stopping' });
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ['localhost:99999', []],
    ['1.2.3.999', ['*']],
  ])(
    'for a host that cannot be, %s, is neither kept nor a mistake of the server',
    async (host, allowedHosts) => {
      const folder = await directoryOf();
      const other = await startServer({ roots: [folder], allowUpload: true, allowedHosts });
      for (const origin of [undefined, 'http://localhost']) {
        const headers = { host, ...(origin && { origin }) };
        const answer = await other.get('/api/images?name=a', { method: 'POST', body: png, headers });
        expect(answer.status).toBe(421);
        expect(answer.json().detail).toContain('allowedHosts');
      }
      expect(await readdir(folder)).toEqual([]);
      expect(other.log).toEqual([]);
    },
  );

  it('is not wanted where uploads are not allowed', async () => {
    const other = await startServer({ roots: [directory] });
    const answer = await other.get('/api/images?name=a', { method: 'POST', body: png });
    expect(answer.status).toBe(405);
    expect(answer.json().detail).toContain('allowUpload');
    expect((await other.get('/api/images')).json().upload).toBe(false);
  });
});
