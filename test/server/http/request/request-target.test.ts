import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { directoryOf, encoded, picture, startServer } from '../../server-fixture.ts';

const server = await startServer({
  roots: [await directoryOf({ 'a.liif': await encoded(picture(100, 80)) })],
});
const { port } = new URL(server.localUrl);

/** The status of a request as it is written here. */
async function statusOf(...lines: readonly string[]): Promise<number> {
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(`${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`);
  const [part] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return Number(/^HTTP\/1\.1 (\d+)/.exec(part.toString('latin1'))?.[1]);
}

it('a request that names several hosts is refused, whatever it asks for', async () => {
  for (const method of ['OPTIONS', 'HEAD', 'POST'])
    expect(await statusOf(`${method} /health HTTP/1.1`, 'Host: localhost', 'Host: localhost')).toBe(400);
  for (const path of ['/a/0/0/0.png', '/health', '/model/models.json'])
    for (const other of ['localhost', 'evil.example'])
      expect(await statusOf(`GET ${path} HTTP/1.1`, 'Host: localhost', `Host: ${other}`)).toBe(400);
});

it('a target in absolute form is answered like its path', async () => {
  for (const path of ['/health', '/a/0/0/0.png', '/a/pixel?x=1&y=1', '/model/models.json', '', '?x'])
    expect([path, (await server.get(`http://localhost:${port}${path}`)).status]).toEqual([path, 200]);
  expect((await server.get('HTTPS://localhost/none')).status).toBe(404);
});

it('the host of a target in absolute form goes before the Host header', async () => {
  const info = (host: string) =>
    server.get(`http://${host}/iiif/3/a/info.json`, { headers: { host: 'evil.example' } });
  expect((await info('localhost:99')).json().id).toBe('http://localhost:99/iiif/3/a');
  for (const host of ['evil.example', '', 'me@localhost'])
    expect([host, (await info(host)).status]).toEqual([host, 421]);
});

it('addresses for balancers may end in a slash', async () => {
  for (const path of ['/health/', '/ready/', '/metrics/'])
    expect([path, (await server.get(path)).status]).toEqual([path, 200]);
});
