import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { planJobs } from '../../src/cli/jobs.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-jobs-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it.each([
  ['https://example.org/maps/old%20town.liif?version=2#top', 'old town.png'],
  ['https://example.org/maps/100%.liif', '100%.png'],
  ['https://example.org/maps/..%2F..%2Fescape.liif', 'escape.png'],
  ['https://example.org/maps/', 'maps.png'],
  ['scans/page.1.liif', 'page.1.png'],
])('names what is made of %s in a folder %s', async (input, name) => {
  expect(await planJobs([input], `${folder}/`, '.png')).toEqual([{ input, output: join(folder, name) }]);
});

it('puts outputs beside their inputs where nothing is said', async () => {
  expect(await planJobs(['a/b.png', 'c.jpg'], undefined, '.liif')).toEqual([
    { input: 'a/b.png', output: join('a', 'b.liif') },
    { input: 'c.jpg', output: 'c.liif' },
  ]);
});

it('makes folders within folders', async () => {
  await planJobs(['a.png', 'b.png'], join(folder, 'new/inside/'), '.liif');
  expect(await readdir(join(folder, 'new'))).toEqual(['inside']);
});

it.skipIf(process.platform !== 'linux')('refuses a folder where none can be made', async () => {
  await expect(planJobs(['a.png'], '/proc/liif/out/', '.liif')).rejects.toThrow(
    '/proc/liif/out/: cannot be written: no folder can be made in /proc',
  );
});

it('makes no folder where an output has no name', async () => {
  await expect(planJobs(['https://example.org/'], join(folder, 'new/'), '.png')).rejects.toThrow(
    /names no file/,
  );
  expect(await readdir(folder)).toEqual([]);
});
