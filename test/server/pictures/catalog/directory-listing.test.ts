import type { Stats } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isBelow, picturesOf, stampOf } from '../../../../src/server/pictures/catalog/directory-listing.ts';
import { directoryOf } from '../../server-fixture.ts';

it('a path lies below a directory, not below one whose name begins like it', () => {
  expect(isBelow('/pictures', '/pictures/a.png')).toBe(true);
  expect(isBelow('/pictures', '/pictures-of-others/a.png')).toBe(false);
  expect(isBelow('/', '/a.png')).toBe(true);
});

it('a stamp changes with the file that has the name, its size and its time', () => {
  const stats = { ino: 1, size: 2, mtimeMs: 3 };
  const stamps = [{}, { ino: 2 }, { size: 3 }, { mtimeMs: 4 }].map((change) =>
    stampOf({ ...stats, ...change } as Stats),
  );
  expect(new Set(stamps).size).toBe(4);
});

it('of files with one id that of the first path comes first, and folders are no pictures', async () => {
  const root = await directoryOf({ 'b.liif': 'x', 'a.liif': 'x', 'a.LIIF': 'x' });
  await mkdir(join(root, 'folder.png'));
  const names = ['b.liif', 'a.liif', 'folder.png', 'a.LIIF'];
  const files = names.map((name) => ({ name, path: join(root, name) }));
  const found = await picturesOf(files, { root, plain: true });
  expect(found.map(({ path }) => path)).toEqual(
    ['a.LIIF', 'a.liif', 'b.liif'].map((name) => join(root, name)),
  );
});
