import { rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { directoryOf, encoded, picture, startServer } from '../server-fixture.ts';

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
