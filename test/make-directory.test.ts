import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { makeDirectory } from '../src/make-directory.ts';

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'liif-directory-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

it('makes a directory and its parents, also when several ask for it at once, and leaves one that is there', async () => {
  const path = join(await scratch(), 'a', 'b', 'c');
  await Promise.all([makeDirectory(path), makeDirectory(path), makeDirectory(join(path, 'd'))]);
  await makeDirectory(path);
  expect(existsSync(join(path, 'd'))).toBe(true);
});

it('rejects below a file', async () => {
  const file = join(await scratch(), 'file');
  await writeFile(file, '');
  await expect(makeDirectory(join(file, 'a', 'b'))).rejects.toMatchObject({ code: 'ENOTDIR' });
});

it.runIf(existsSync('/proc/self'))('rejects where no directory can be made', async () => {
  await expect(makeDirectory('/proc/liif/out')).rejects.toMatchObject({ code: 'ENOENT', path: '/proc/liif' });
});
