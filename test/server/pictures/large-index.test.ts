import { readdir, readlink, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ContainerWriter, MemorySink } from '../../../src/container/write.ts';
import { parseModel } from '../../../src/network/load.ts';
import { tinyModelBytes } from '../../fixtures/tiny-model.ts';
import { ask, directoryOf, startServer } from '../server-fixture.ts';

/** A file of `side` x `side` chunks, each of the fewest bytes that one may have. */
async function fileOfChunks(side: number): Promise<Uint8Array> {
  const { hash } = parseModel(tinyModelBytes({ seed: 5 }));
  const sink = new MemorySink();
  const writer = await ContainerWriter.begin(
    sink,
    {
      width: 128 * side,
      height: 128 * side,
      channels: 3,
      alpha: false,
      depth: 8,
      quality: 50,
      model: Buffer.from(hash, 'hex'),
      encoder: 'a test',
      chunkSize: 8,
      levels: 1,
      overviewFactor: 2,
      sections: [],
    },
    [],
  );
  const chunk = new Uint8Array(16).fill(1);
  for (let i = 0; i < side ** 2; i++) await writer.appendChunk(chunk);
  await writer.end();
  return sink.bytes();
}

it.skipIf(process.platform !== 'linux')('of pictures with a large index fewer stay open', async () => {
  const directory = await directoryOf({ '0.liif': await fileOfChunks(300) });
  for (let i = 1; i < 40; i++) await symlink('0.liif', join(directory, `${i}.liif`));
  const server = await startServer({ roots: [directory], watch: false });
  for (let i = 0; i < 40; i++) expect((await server.get(`/api/images/${i}`)).status).toBe(200);
  const open = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  // Each index takes more than a megabyte.
  expect(open.filter((path) => path.startsWith(directory))).toHaveLength(32);
});

it('a file of more chunks than the server keeps is not served, and not taken as an upload', async () => {
  const bytes = await fileOfChunks(513);
  const directory = await directoryOf({ 'large.liif': bytes });
  const server = await startServer({ roots: [directory], watch: false, allowUpload: true });
  const answer = await server.get('/large/0/0/0.png');
  expect(answer.status).toBe(501);
  expect(answer.json().detail).toContain('larger than this server serves');
  const upload = await ask(server.localUrl, '/api/images?name=mine', { method: 'POST', body: bytes });
  expect(upload.status).toBe(415);
  expect(await readdir(directory)).toEqual(['large.liif']);
});
