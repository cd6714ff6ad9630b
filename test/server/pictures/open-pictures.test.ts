import fs from 'node:fs';
import { mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { directoryOf, encoded, eventually, imageOf, picture, startServer } from '../server-fixture.ts';

it('a picture whose folder is a file now is gone', async () => {
  const directory = await directoryOf({ 'maps/town.liif': await encoded(picture(30, 20)) });
  const server = await startServer({ roots: [directory], watch: false });
  await rm(join(directory, 'maps'), { recursive: true });
  await writeFile(join(directory, 'maps'), 'a file');
  expect((await server.get('/maps%2Ftown/0/0/0.png')).status).toBe(404);
  expect(server.log).toEqual([]);
});

it('a picture that cannot be looked at is a failure of its file, not a mistake of the server', async () => {
  const directory = await directoryOf({ 'maps/town.liif': await encoded(picture(30, 20)) });
  const server = await startServer({ roots: [directory], watch: false });
  await rm(join(directory, 'maps'), { recursive: true });
  await symlink('maps', join(directory, 'maps'));
  const answer = await server.get('/maps%2Ftown/0/0/0.png');
  expect([answer.status, answer.json().type]).toEqual([502, 'urn:liif:problem:source-failed']);
  expect(JSON.stringify(answer.json())).not.toContain(directory);
});

it('a picture that cannot be opened because too many files are open is asked for again, and one line says so', async () => {
  const bytes = await encoded(picture(30, 20));
  const image = await imageOf(picture(30, 20)).png().toBuffer();
  const directory = await directoryOf({ 'a.liif': bytes, 'b.liif': bytes, 'c.png': image });
  const server = await startServer({ roots: [directory], watch: false });
  const { open } = fs.promises;
  fs.promises.open = async (...given) => {
    if (String(given[0]).startsWith(directory))
      throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
    return open(...given);
  };
  syncBuiltinESMExports();
  try {
    for (const id of ['a', 'b', 'c.png']) {
      const answer = await server.get(`/${id}/0/0/0.png`);
      expect([answer.status, answer.headers['retry-after'], answer.json().type]).toEqual([
        503,
        '2',
        'urn:liif:problem:too-many-files',
      ]);
    }
  } finally {
    fs.promises.open = open;
    syncBuiltinESMExports();
  }
  expect(server.log.map(({ level, code }) => [level, code])).toEqual([[40, 'too-many-files']]);
  expect((await server.get('/a/0/0/0.png')).status).toBe(200);
});

/** Files below a directory that this process has open. */
async function openBelow(directory: string): Promise<string[]> {
  const paths = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return paths.filter((path) => path.startsWith(directory));
}

describe.skipIf(process.platform !== 'linux')('the handle of a file', () => {
  it('that is replaced is closed when the new one is opened', async () => {
    const bytes = await encoded(picture(30, 20));
    const directory = await directoryOf({ 'a.liif': bytes });
    const server = await startServer({ roots: [directory], watch: false });
    for (let time = 0; time < 3; time++) {
      await eventually(async () => {
        expect((await server.get('/api/images/a')).status).toBe(200);
        const open = await openBelow(directory);
        return open.length === 1 && open[0] === join(directory, 'a.liif');
      });
      await writeFile(join(directory, '.new'), bytes);
      await rename(join(directory, '.new'), join(directory, 'a.liif'));
    }
  });

  it('that is removed or replaced is closed though nobody asks for it again', async () => {
    const bytes = await encoded(picture(30, 20));
    const directory = await directoryOf({ 'a.liif': bytes, 'b.liif': bytes });
    const server = await startServer({ roots: [directory] });
    for (const id of ['a', 'b']) expect((await server.get(`/api/images/${id}`)).status).toBe(200);
    expect(await openBelow(directory)).toHaveLength(2);
    await rm(join(directory, 'a.liif'));
    await writeFile(join(directory, '.new'), bytes);
    await rename(join(directory, '.new'), join(directory, 'b.liif'));
    await eventually(async () => (await openBelow(directory)).length === 0);
  });
});

it('a picture that is not where the catalog has it is looked for again', async () => {
  const bytes = await encoded(picture(30, 20));
  // What lies below a name with a dot is not watched.
  const directory = await directoryOf({ '.hidden/one/a.liif': bytes });
  await symlink('one', join(directory, '.hidden/now'));
  await symlink('.hidden/now/a.liif', join(directory, 'a.liif'));
  const server = await startServer({ roots: [directory] });
  expect((await server.get('/api/images/a')).status).toBe(200);
  await mkdir(join(directory, '.hidden/two'));
  await writeFile(join(directory, '.hidden/two/a.liif'), bytes);
  await rm(join(directory, '.hidden/now'));
  await symlink('two', join(directory, '.hidden/now'));
  await rm(join(directory, '.hidden/one'), { recursive: true });
  await eventually(async () => (await server.get('/api/images/a')).status === 200);
});

it('a file that cannot be shown is not read again at once, and is when it has changed', async () => {
  const gif = await imageOf(picture(30, 20)).gif().toBuffer();
  const directory = await directoryOf({ 'a.png': gif });
  const server = await startServer({ roots: [directory], watch: false });
  const open = vi.spyOn(fs.promises, 'open');
  syncBuiltinESMExports();
  for (let i = 0; i < 5; i++) expect((await server.get('/a.png/0/0/0.png')).status).toBe(501);
  const opened = open.mock.calls.filter(([path]) => String(path).startsWith(directory)).length;
  open.mockRestore();
  syncBuiltinESMExports();
  expect(opened).toBe(1);
  await writeFile(join(directory, 'a.png'), await imageOf(picture(30, 20)).png().toBuffer());
  await eventually(async () => (await server.get('/a.png/0/0/0.png')).status === 200);
});
