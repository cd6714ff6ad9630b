import { utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { afterThisFile } from '../../after-file.ts';
import { directoryOf, encoded, eventually, picture, startServer } from '../server-fixture.ts';

const sound = Buffer.from(await encoded(picture(200, 150)));
const damaged = Buffer.from(sound);
damaged[damaged.length - 20]! ^= 1;

it('a damaged .liif and the sound one have the same version and other ETags, and none is kept for ever', async () => {
  const directory = await directoryOf({ 'a.liif': damaged });
  const server = await startServer({ roots: [directory] });
  const { file } = (await server.get('/api/images/a')).json();
  const first = await server.get(file);
  expect(first.body.equals(damaged)).toBe(true);
  expect(first.headers['cache-control']).toBe('public, max-age=3600');
  await writeFile(join(directory, 'a.liif'), sound);
  await utimes(join(directory, 'a.liif'), 1e9, 1e9);
  await eventually(async () => (await server.get(file)).body.equals(sound));
  expect((await server.get('/api/images/a')).json().file).toBe(file);
  const again = await server.get(file, { headers: { 'if-none-match': first.headers.etag as string } });
  expect([again.status, again.body.equals(sound)]).toEqual([200, true]);
  const part = await server.get(file, {
    headers: { range: 'bytes=0-9', 'if-range': first.headers.etag as string },
  });
  expect([part.status, part.body.length]).toEqual([200, sound.length]);
  // Another machine, another file of the same bytes.
  const other = await startServer({ roots: [await directoryOf({ 'b.liif': sound })] });
  expect((await other.get('/b/file')).headers.etag).toBe(again.headers.etag);
  expect((await other.get('/b/file?v=old')).headers['cache-control']).toBe('no-cache');
});

it('the ETag of a remote .liif depends on what its server says, so that the file is not fetched whole', async () => {
  let tag = '"one"';
  let given = 0;
  const files = createServer((request, response) => {
    const [, start, end] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')!;
    const body = large.subarray(Number(start), Number(end) + 1);
    given += body.length;
    response.writeHead(206, {
      etag: tag,
      'content-range': `bytes ${start}-${Number(start) + body.length - 1}/${large.length}`,
      'content-length': body.length,
    });
    response.end(body);
  });
  const large = Buffer.from(await encoded(picture(700, 500)));
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
  afterThisFile(() => files.close());
  const { port } = files.address() as AddressInfo;
  const options = {
    roots: [],
    remotes: [`far=http://127.0.0.1:${port}/`],
    allowAddresses: ['127.0.0.0/8'],
  };
  const etagOf = async () => {
    const server = await startServer(options);
    const { status, headers } = await server.get('/far%2Fa/file', { method: 'HEAD' });
    expect(status).toBe(200);
    await server.stop();
    return headers.etag;
  };
  const one = await etagOf();
  expect(given).toBeLessThan(large.length);
  expect(await etagOf()).toBe(one);
  tag = '"two"';
  expect(await etagOf()).not.toBe(one);
});
