import { once } from 'node:events';
import { utimes } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { encodeImage } from '../../../src/encode.ts';
import { directoryOf, eventually, picture, startServer, testEngine } from '../server-fixture.ts';

it('a file that is written over while it is sent ends its connection, and the server goes on', async () => {
  // More than waits in sockets.
  const sections = { xmp: new Uint8Array(14 * 2 ** 20), text: new Uint8Array(14 * 2 ** 20) };
  const bytes = await encodeImage(await testEngine(), picture(60, 40), { sections });
  const directory = await directoryOf({ 'a.liif': bytes });
  const path = join(directory, 'a.liif');
  const server = await startServer({ roots: [directory] });
  const client = connect(Number(new URL(server.localUrl).port), '127.0.0.1');
  client.write('GET /a/file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  await once(client, 'readable');
  await utimes(path, new Date(0), new Date(0));
  client.resume();
  await once(client, 'close');
  expect(client.bytesRead).toBeLessThan(bytes.length);
  await eventually(() => server.log.length > 0);
  expect(server.log.map(({ level, code }) => ({ level, code }))).toEqual([
    { level: 40, code: 'picture-changed' },
  ]);
  expect((await server.get('/a/0/0/0.png')).status).toBe(200);
});
