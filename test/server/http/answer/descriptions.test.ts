import { rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { directoryOf, encoded, eventually, imageOf, picture, startServer } from '../../server-fixture.ts';

const png = await imageOf(picture(100, 80)).png().toBuffer();

it('the list of pictures notices a file that is replaced by another of the same time', async () => {
  const directory = await directoryOf({ 'a.liif': await encoded(picture(100, 80)) });
  const path = join(directory, 'a.liif');
  const time = new Date('2024-01-01T00:00:00Z');
  await utimes(path, time, time);
  const server = await startServer({ roots: [directory] });
  const listed = async () => (await server.get('/api/images')).json().images[0];
  expect(await listed()).toMatchObject({ width: 100, height: 80 });
  await writeFile(`${path}.new`, await encoded(picture(60, 50)));
  await utimes(`${path}.new`, time, time);
  await rename(`${path}.new`, path);
  await eventually(async () => (await listed()).width === 60);
  const { thumbnail } = await listed();
  expect((await server.get(thumbnail)).headers['cache-control']).toContain('immutable');
});

it('the list of pictures follows originals that come and go', async () => {
  const directory = await directoryOf({ 'a.liif': await encoded(picture(100, 80)) });
  const server = await startServer({ roots: [directory] });
  const original = async () => (await server.get('/api/images')).json().images[0].original;
  expect(await original()).toBeUndefined();
  await writeFile(join(directory, 'a.png'), png);
  await eventually(async () => (await original()) === 'a.png');
  await rm(join(directory, 'a.png'));
  await eventually(async () => (await original()) === undefined);
});
