import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
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
