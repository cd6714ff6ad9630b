import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withoutCopies } from '../../../src/train/pictures/copies.ts';

let folder: string;
const path = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-copies-'));
  for (const [name, text] of Object.entries({ a: 'one', b: 'two', c: 'one', d: 'three', e: 'one' }))
    await writeFile(path(name), text);
});
afterAll(() => rm(folder, { recursive: true }));

it('keeps the first of files with the same bytes, in order', async () => {
  expect(await withoutCopies(['d', 'c', 'b', 'a', 'e'].map(path))).toEqual(['d', 'c', 'b'].map(path));
});

it('keeps files that cannot be read, for whoever opens them', async () => {
  const paths = ['none', 'a', 'neither', 'c'].map(path);
  expect(await withoutCopies(paths)).toEqual(paths.slice(0, 3));
});

it('stops when it is asked to', async () => {
  const stopped = AbortSignal.abort(new Error('stop'));
  await expect(withoutCopies(['a', 'c'].map(path), stopped)).rejects.toThrow('stop');
});
