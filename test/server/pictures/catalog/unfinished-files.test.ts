import { mkdir, readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { removeUnfinished } from '../../../../src/server/pictures/catalog/unfinished-files.ts';
import { directoryOf, eventually, startServer } from '../../server-fixture.ts';

const stale = `.liif-${'0'.repeat(16)}.partial`;
const young = `.liif-${'1'.repeat(16)}.partial`;

it('files of encodings that were killed are removed at the start, of servers that take uploads, and none that may be under way', async () => {
  const directory = await directoryOf({ [stale]: 'x', [young]: 'x', '.liif-mine.partial': 'x' });
  const before = Date.now() / 1000 - 7 * 3600;
  for (const name of [stale, '.liif-mine.partial']) await utimes(join(directory, name), before, before);
  await (await startServer({ roots: [directory], watch: false })).stop();
  expect(await readdir(directory)).toContain(stale);
  const server = await startServer({ roots: [directory], watch: false, allowUpload: true });
  await eventually(async () => !(await readdir(directory)).includes(stale));
  expect((await readdir(directory)).sort()).toEqual([young, '.liif-mine.partial'].sort());
  expect(server.log).toMatchObject([{ files: 1 }]);
});

it('what cannot be removed, and a directory that is not there, stop nobody', async () => {
  const directory = await directoryOf({ [stale]: 'x' });
  // Nobody removes a directory as a file, whoever he is.
  const stuck = join(directory, `.liif-${'2'.repeat(16)}.partial`);
  await mkdir(stuck);
  const before = Date.now() / 1000 - 7 * 3600;
  for (const path of [join(directory, stale), stuck]) await utimes(path, before, before);
  expect(await removeUnfinished(directory)).toBe(1);
  expect(await readdir(directory)).toHaveLength(1);
  expect(await removeUnfinished(join(directory, 'none'))).toBe(0);
});
