import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { afterThisFile } from '../../after-file.ts';
import { ask, directoryOf, encoded, imageOf, picture, startServer } from '../server-fixture.ts';

const outside = await directoryOf({ 'secret.png': await imageOf(picture(64, 64)).png().toBuffer() });
const directory = await directoryOf({
  'a.liif': await encoded(picture(100, 80)),
  'sub/b.png': await imageOf(picture(64, 64)).png().toBuffer(),
  'notes.txt': 'private',
});
await mkdir(`${directory}-sibling`);
afterThisFile(() => rm(`${directory}-sibling`, { recursive: true }));
await writeFile(join(`${directory}-sibling`, 'c.png'), await imageOf(picture(8, 8)).png().toBuffer());
await symlink(join(outside, 'secret.png'), join(directory, 'linked.png'));
await symlink(outside, join(directory, 'linked'));
await symlink(join(directory, 'sub'), join(directory, 'again'));
await symlink(join(directory, 'sub/b.png'), join(directory, 'here.png'));
const server = await startServer({ roots: [directory] });

function memory(): number {
  return process.memoryUsage().rss;
}

const TRAVERSALS = [
  '../secret',
  '..%2fsecret',
  '..%2Fsecret',
  '%2e%2e/secret',
  '%2e%2e%2fsecret',
  '.%2e%2fsecret',
  '%252e%252e%252fsecret',
  '..%252fsecret',
  '..%c0%afsecret',
  '..%5csecret',
  '..\\secret',
  '%2e%2e%5csecret',
  '....//secret',
  '..;/secret',
  '/etc/passwd',
  '%2fetc%2fpasswd',
  'a/../../secret',
  'a%2f..%2f..%2fsecret',
  'a.liif%00.png',
  'a%00',
  'file:%2f%2f%2fetc%2fpasswd',
  'notes.txt',
  'notes',
  '.',
  '..',
  'linked.png',
  'linked%2Fsecret.png',
  `..%2f${encodeURIComponent(`${directory.split('/').pop()}-sibling`)}%2fc.png`,
  '__proto__',
  'constructor',
  'hasOwnProperty',
  '__proto__%2F__proto__',
  'a%ff',
  '%',
  'x'.repeat(300),
  'é'.repeat(200).replaceAll('é', '%C3%A9'),
  `${'sub%2F'.repeat(150)}b.png`,
];

describe('an id that leads elsewhere', () => {
  it.each(TRAVERSALS)('%s is a 4xx on every route, and leaks nothing', async (id) => {
    for (const path of [
      `/${id}/0/0/0.png`,
      `/${id}/file`,
      `/${id}/tilejson.json`,
      `/${id}/pixel?x=0&y=0`,
      `/iiif/3/${id}/info.json`,
      `/iiif/2/${id}/full/max/0/default.jpg`,
      `/dzi/${id}.dzi`,
      `/dzi/${id}_files/0/0_0.jpg`,
      `/api/images/${id}`,
      `/assets/${id}`,
      `/${id}`,
    ]) {
      const { status, body } = await server.get(path);
      expect([path, Math.floor(status / 100)]).toEqual([path, 4]);
      const text = body.toString();
      expect(text).not.toContain(directory);
      expect(text).not.toContain('node_modules');
      expect(text).not.toMatch(/\n\s+at /);
      expect(text).not.toContain('root:');
      expect(text).not.toContain('private');
    }
  });

  it('is served where a link to a file stays inside its directory', async () => {
    expect((await server.get('/here.png/0/0/0.png')).status).toBe(200);
    expect((await server.get('/again%2Fb.png/0/0/0.png')).status).toBe(404);
    expect((await server.get('/sub%2Fb.png/0/0/0.png')).status).toBe(200);
  });
});

describe('a request for the impossible', () => {
  it.each([
    '/a/1025/0/0.png',
    `/a/${'9'.repeat(50)}/0/0.png`,
    `/a/60/${'9'.repeat(400)}/0.png`,
    `/a/1024/${2n ** 1024n}/0.png`,
    '/a/NaN/0/0.png',
    '/a/0/Infinity/0.png',
    '/a/0/0/0@99999x.png',
    '/iiif/3/a/NaN,0,1,1/max/0/default.jpg',
    '/iiif/3/a/0,0,1e308,1/max/0/default.jpg',
    '/iiif/3/a/0,0,999999999999999,999999999999999/^999999999999999,/0/default.jpg',
    '/iiif/3/a/full/^999999999,999999999/0/default.png',
    '/iiif/3/a/full/^pct:999999999999999/0/default.png',
    '/iiif/3/a/full/^999999999999999,999999999999999/0/default.png',
    '/iiif/3/a/0,0,1,1/^16384,16384/0/default.png',
    '/iiif/3/a@1048576x/0,0,99999999,99999999/^16385,/0/default.png',
    '/iiif/3/a@99999999x/info.json',
    '/iiif/3/a/full/max/1e308/default.jpg',
    '/dzi/a_files/999/0_0.jpg',
    '/dzi/a_files/7/999999999_999999999.jpg',
    '/a/pixel?x=1e308&y=NaN',
    '/api/images?offset=-1',
    '/api/images?limit=1e9',
    '/api/jobs/../../etc/passwd',
    `/${'a'.repeat(5000)}`,
  ])('%s is a 4xx, and reserves no memory', async (path) => {
    const before = memory();
    const { status } = await server.get(path);
    expect([path, Math.floor(status / 100)]).toEqual([path, 4]);
    expect(memory() - before).toBeLessThan(64 * 2 ** 20);
  });

  it('about a canvas of 2^20 times the size is answered within the limits', async () => {
    const answer = await server.get('/iiif/3/a@1048576x/52428800,41943040,256,256/256,256/0/default.png');
    expect(answer.status).toBe(200);
  });
});

describe('a Host header', () => {
  it.each([
    'evil.example',
    'localhost.evil.example',
    'localhost@evil.example',
    'localhost\tx',
    '"',
    '<script>',
    '[::1',
    'a'.repeat(300),
  ])('%s is refused and never repeated', async (host) => {
    for (const path of ['/iiif/3/a/info.json', '/a/tilejson.json', '/a/0/0/0.png', '/api/images', '/']) {
      const answer = await server.get(path, { headers: { host } });
      expect([400, 421]).toContain(answer.status);
      expect(answer.body.toString()).not.toContain('evil');
    }
  });

  it('of an allowed name, an address or localhost is answered', async () => {
    const named = await startServer({ roots: [directory], allowedHosts: ['pictures.example.org'] });
    for (const host of [
      'pictures.example.org',
      'PICTURES.example.org:8080',
      '192.168.1.7',
      '[::1]:99',
      'localhost',
    ])
      expect((await named.get('/iiif/3/a/info.json', { headers: { host } })).json().id).toBe(
        `http://${host}/iiif/3/a`,
      );
  });

  it('of a proxy is believed only when told to', async () => {
    const headers = { 'x-forwarded-host': 'pictures.example.org', 'x-forwarded-proto': 'https' };
    expect((await server.get('/iiif/3/a/info.json', { headers })).json().id).toMatch(/^http:\/\/127/);
    const behind = await startServer({
      roots: [directory],
      trustProxy: true,
      allowedHosts: ['pictures.example.org'],
    });
    expect((await behind.get('/iiif/3/a/info.json', { headers })).json().id).toBe(
      'https://pictures.example.org/iiif/3/a',
    );
    const evil = await behind.get('/iiif/3/a/info.json', { headers: { 'x-forwarded-host': 'evil.example' } });
    expect(evil.status).toBe(421);
  });
});

describe('headers', () => {
  it.each([
    ['range', 'bytes=99999999999999999999-'],
    ['range', `bytes=${'0-1,'.repeat(500)}0-1`],
    ['range', 'bytes=-0'],
    ['range', 'lines=1-2'],
    ['if-none-match', '"'.repeat(2000)],
    ['if-range', '"'.repeat(2000)],
    ['if-modified-since', 'NaN'],
    ['accept', `${'a/b,'.repeat(1000)}`],
    ['accept-encoding', 'gzip;q=NaN, br;q=-1'],
    ['x-forwarded-for', '\u0001'.replace('\u0001', '::1')],
    ['origin', 'null'],
  ])('%s: %s does no harm', async (name, value) => {
    for (const path of ['/a/file', '/a/0/0/0.png', '/iiif/3/a/info.json']) {
      const { status } = await server.get(path, { headers: { [name]: value } });
      expect(status).toBeLessThan(500);
    }
  });

  it('that are too large, or no HTTP at all, end the connection and nothing else', async () => {
    const { hostname, port } = new URL(server.localUrl);
    for (const bytes of [
      'GET / HTTP/1.1\r\nHost: localhost\r\nX: '.padEnd(40_000, 'x'),
      '\u0016\u0003\u0001\u0002\u0000garbage\r\n\r\n',
      'GET /a/0/0/0.png HTTP/9.9\r\n\r\n',
      'GET http://evil.example/a/0/0/0.png HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
      'GET /a/0/0/0.png HTTP/1.1\r\nConnection: close\r\n\r\n',
    ]) {
      const answer = await new Promise<string>((resolve, reject) => {
        const socket = connect(Number(port), hostname, () => socket.write(bytes, 'latin1'));
        let text = '';
        socket.on('data', (part) => {
          text += part.toString('latin1');
        });
        socket.on('close', () => resolve(text));
        socket.on('error', reject);
        socket.setTimeout(30_000, () => socket.destroy());
      });
      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    }
    expect((await ask(server.localUrl, '/health')).status).toBe(200);
  });
});

it('logs no stack for what clients do wrong', () => {
  expect(server.log.filter(({ level }) => (level as number) >= 50)).toEqual([]);
});

it('of a coordinate that is given twice, the answer names the one that it used', async () => {
  const server = await startServer({ roots: [directory] });
  const pixel = async (query: string) => (await server.get(`/a/pixel?${query}`)).json();
  expect(await pixel('x=1.50&x=2&y=1')).toEqual({ ...(await pixel('x=1.50&y=1')), x: '1.50', y: '1' });
});
