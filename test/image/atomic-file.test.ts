import { link, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { AtomicFile, writeAtomically } from '../../src/image/atomic-file.ts';
import { OutputError } from '../../src/image/errors.ts';

vi.mock('node:fs/promises', async (original) => {
  const promises = await original<typeof import('node:fs/promises')>();
  return { ...promises, link: vi.fn(promises.link), rename: vi.fn(promises.rename) };
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-atomic-'));
});
afterEach(async () => {
  vi.mocked(link).mockReset();
  vi.mocked(rename).mockReset();
  await rm(folder, { recursive: true, force: true });
});

const refusal = (code: string) => Object.assign(new Error(`${code}: operation not permitted`), { code });
const write = (path: string, text: string) => writeAtomically(path, (file) => file.write(Buffer.from(text)));

it('replaces a file that cannot be renamed to, as an open one on Windows', async () => {
  const path = join(folder, 'picture.liif');
  await writeFile(path, 'old');
  vi.mocked(rename).mockRejectedValueOnce(refusal('EPERM'));
  await write(path, 'new');
  expect(await readFile(path, 'utf8')).toBe('new');
  expect(await readdir(folder)).toEqual(['picture.liif']);
});

it('leaves a file as it is where that does not help', async () => {
  const path = join(folder, 'picture.liif');
  await writeFile(path, 'old');
  vi.mocked(rename).mockRejectedValueOnce(refusal('EBUSY')).mockRejectedValueOnce(refusal('EPERM'));
  const failed = write(path, 'new');
  await expect(failed).rejects.toThrow(OutputError);
  await expect(failed).rejects.toThrow(`${path}: cannot be written: is in use`);
  const { rename: really } = await vi.importActual<typeof import('node:fs/promises')>('node:fs/promises');
  vi.mocked(rename)
    .mockRejectedValueOnce(refusal('EPERM'))
    .mockImplementationOnce(really)
    .mockRejectedValueOnce(refusal('EACCES'));
  await expect(write(path, 'new')).rejects.toThrow(`${path}: cannot be written: permission denied`);
  expect(await readFile(path, 'utf8')).toBe('old');
  expect(await readdir(folder)).toEqual(['picture.liif']);
});

it.each(['with hard links', 'without hard links'])('takes only names that nothing has, %s', async (where) => {
  if (where === 'without hard links') vi.mocked(link).mockRejectedValue(refusal('EPERM'));
  const paths = ['a', 'a-2'].map((name) => join(folder, name));
  const files = await Promise.all(['first', 'second'].map(() => AtomicFile.open(paths[0]!)));
  for (const [i, file] of files.entries()) await file.write(Buffer.from(`file ${i}`));
  const got = await Promise.all(files.map((file) => file.commitNew(paths[0]!)));
  expect([...got].sort()).toEqual([false, true]);
  const late = got.indexOf(false);
  expect(await files[late]!.commitNew(paths[1]!)).toBe(true);
  expect((await readdir(folder)).sort()).toEqual(['a', 'a-2']);
  expect(await readFile(paths[0]!, 'utf8')).toBe(`file ${1 - late}`);
  expect(await readFile(paths[1]!, 'utf8')).toBe(`file ${late}`);
});
