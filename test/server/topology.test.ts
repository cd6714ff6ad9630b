import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { freePort, installed, listens, started, startRedis } from './redis-server.ts';
import { ask, directoryOf, encoded, eventually, picture, startServer } from './server-fixture.ts';

const deploy = new URL('../../src/server/deploy/', import.meta.url);

describe.skipIf(!installed('redis-server') || !installed('nginx'))(
  'two servers, Redis and a caching proxy, as in compose.yaml (needs redis-server, nginx)',
  async () => {
    it('serve one picture, share their work, and outlive each other', async () => {
      const redisPort = await freePort();
      await startRedis(redisPort);
      const directory = await directoryOf({ 'deep/noise.liif': await encoded(picture(300, 200)) });
      const options = {
        roots: [directory],
        redis: `redis://127.0.0.1:${redisPort}`,
        trustProxy: true,
        allowUpload: true,
        tileCacheMb: 0,
      };
      const [one, two] = [await startServer(options), await startServer(options)];
      const portOf = (url: string) => new URL(url).port;

      // The very configuration of the compose file, with the addresses of this machine.
      const home = await directoryOf();
      const port = await freePort();
      const site = (await readFile(new URL('nginx.conf', deploy), 'utf8'))
        .replaceAll('server one:8080', `server 127.0.0.1:${portOf(one.localUrl)}`)
        .replace('server two:8080', `server 127.0.0.1:${portOf(two.localUrl)}`)
        .replace('listen 8080', `listen 127.0.0.1:${port}`)
        .replace('/var/cache/nginx/liif', join(home, 'cache'));
      await writeFile(join(home, 'site.conf'), site);
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
        .map((name) => `${name}_temp_path ${join(home, name)};`)
        .join('\n');
      await writeFile(
        join(home, 'nginx.conf'),
        `daemon off; ${process.getuid?.() === 0 ? 'user root; ' : ''}pid ${join(home, 'pid')}; error_log stderr warn; worker_processes 1;
events { worker_connections 256; }
http { access_log off; ${temporary} include ${join(home, 'site.conf')}; }
`,
      );
      started('nginx', ['-p', home, '-e', 'stderr', '-c', join(home, 'nginx.conf')]);
      await eventually(() => listens(port));
      const proxy = `http://127.0.0.1:${port}`;

      // Ids keep their %2F, and descriptions name the proxy.
      const info = await ask(proxy, '/iiif/3/deep%2Fnoise/info.json');
      expect(info.json().id).toBe(`${proxy}/iiif/3/deep%2Fnoise`);
      const direct = await one.get('/deep%2Fnoise/1/0/0.png');
      const path = '/deep%2Fnoise/1/0/0.png';
      const first = await ask(proxy, path);
      expect(first.body.equals(direct.body)).toBe(true);
      expect(first.headers['x-cache']).toBe('MISS');
      expect((await ask(proxy, path)).headers['x-cache']).toBe('HIT');
      const known = await ask(proxy, path, { headers: { 'if-none-match': first.headers.etag as string } });
      expect(known.status).toBe(304);

      // Both give the same bytes and names, and one finds what the other has made.
      await eventually(async () => {
        const other = await two.get(path);
        expect(other.body.equals(first.body)).toBe(true);
        expect(other.headers.etag).toBe(first.headers.etag);
        return /^store;/.test(String(other.headers['server-timing']));
      });

      // Errors are not kept, and the numbers of operation stay inside.
      expect((await ask(proxy, '/nothing/0/0/0.png')).status).toBe(404);
      expect((await ask(proxy, '/nothing/0/0/0.png')).headers['x-cache']).toBe('MISS');
      for (const path of ['/metrics', '/metrics/', '/metrics?', '/%6detrics/', '//metrics/'])
        expect((await ask(proxy, path)).status).toBe(404);

      // Whoever uploads learns what has become of it, and whoever looks at the logs finds the request.
      const body = await encoded(picture(50, 40));
      for (let i = 0; i < 4; i++) {
        const sent = await ask(proxy, `/api/images?name=sent${i}`, { method: 'POST', body });
        const job = sent.headers.location as string;
        expect(sent.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
        await eventually(async () => (await ask(proxy, job)).json().state === 'done');
        for (let j = 0; j < 4; j++) expect((await ask(proxy, job)).status).toBe(200);
        expect((await ask(proxy, job, { method: 'DELETE' })).status).toBe(409);
      }

      // One server stops: nobody notices.
      await one.stop();
      for (let z = 0; z < 6; z++) expect((await ask(proxy, `/deep%2Fnoise/${z}/0/0.webp`)).status).toBe(200);
      // The other stops as well: what the proxy has is still given.
      await two.stop();
      expect((await ask(proxy, path)).status).toBe(200);
      expect((await ask(proxy, '/deep%2Fnoise/9/0/0.webp')).status).toBe(502);
    });
  },
);

it('the compose file runs two servers from the Dockerfile, Redis and the proxy', async () => {
  const compose = await readFile(new URL('compose.yaml', deploy), 'utf8');
  for (const part of [
    'one: *server',
    'two: *server',
    'src/server/deploy/Dockerfile',
    'redis://redis:6379',
    './nginx.conf',
  ])
    expect(compose).toContain(part);
});

it('the image serves its pictures, whatever flags it is given', async () => {
  const dockerfile = await readFile(new URL('Dockerfile', deploy), 'utf8');
  expect(dockerfile).toMatch(/^ENV .*\bLIIF_ROOTS=\/pictures\b/m);
  expect(dockerfile).not.toMatch(/^CMD/m);
});

it('the image opens a health port, and its HEALTHCHECK asks there', async () => {
  const dockerfile = await readFile(new URL('Dockerfile', deploy), 'utf8');
  expect(dockerfile).toMatch(/^ENV .*\bLIIF_HEALTH_PORT=8081$/m);
  const [program, ...args] = JSON.parse(/^HEALTHCHECK .*\\\n +CMD (\[.*\])$/m.exec(dockerfile)![1]!);
  const server = await startServer({ roots: [await directoryOf()], healthPort: 0 });
  const check = () =>
    new Promise<unknown>((resolve) => {
      const env = { ...process.env, LIIF_HEALTH_PORT: new URL(server.healthUrl!).port };
      execFile(program, args, { env }, (error) => resolve(error?.code ?? 0));
    });
  expect(await check()).toBe(0);
  await server.stop();
  expect(await check()).toBe(1);
});
