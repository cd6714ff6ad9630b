import {
  chmod,
  type FileHandle,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { AtomicFile, writeAtomically } from '../../src/image/atomic-file.ts';
import { OutputError } from '../../src/image/errors.ts';

vi.mock('node:fs/promises', async (original) => {
  const promises = await original<typeof import('node:fs/promises')>();
  return {
    ...promises,
    link: vi.fn(promises.link),
    open: vi.fn(promises.open),
    rename: vi.fn(promises.rename),
  };
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-atomic-'));
});
afterEach(async () => {
  vi.mocked(link).mockReset();
  vi.mocked(open).mockReset();
  vi.mocked(rename).mockReset();
  await rm(folder, { recursive: true, force: true });
});

const refusal = (code: string) => Object.assign(new Error(`${code}: operation not permitted`), { code });
const write = (path: string, text: string) => writeAtomically(path, (file) => file.write(Buffer.from(text)));

it('holds what was written one after the other and over, however little the system takes at a time', async () => {
  const handle = await open(join(folder, 'any'), 'w');
  await handle.close();
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  const { write: really } = prototype as unknown as { write: (...given: unknown[]) => unknown };
  const writes = vi.spyOn(prototype, 'write').mockImplementation(function (this: FileHandle, ...given) {
    const [bytes, from, length, at] = given as unknown as [Uint8Array, number, number, number];
    return really.call(this, bytes, from, Math.min(length, 2), at) as never;
  });
  onTestFinished(() => writes.mockRestore());
  const path = join(folder, 'picture.liif');
  const { bytes } = await writeAtomically(path, async (file) => {
    for (const part of ['first, ', 'second']) await file.write(Buffer.from(part));
    await file.writeAt(1, Buffer.from('IRS'));
  });
  expect(await readFile(path, 'utf8')).toBe('fIRSt, second');
  expect(bytes).toBe(13);
});

it('has the permissions of the file that it replaces', async () => {
  const path = join(folder, 'picture.liif');
  await writeFile(path, 'old');
  await chmod(path, 0o604);
  await write(path, 'new');
  expect((await stat(path)).mode & 0o777).toBe(0o604);
});

it('leaves nothing, not even open, where the work fails, or the name it was to have', async () => {
  /** How many files have been opened, and how many of them are open. */
  const opened = async () => {
    const results = vi.mocked(open).mock.results.map(({ value }) => value as Promise<FileHandle>);
    const all = (await Promise.allSettled(results)).flatMap((one) =>
      one.status === 'fulfilled' ? [one.value] : [],
    );
    return [all.length, all.filter(({ fd }) => fd >= 0).length];
  };
  const path = join(folder, 'picture.liif');
  const failing = writeAtomically(path, async (file) => {
    await file.write(Buffer.from('half'));
    throw new Error('enough');
  });
  await expect(failing).rejects.toThrow('enough');
  expect(await opened()).toEqual([1, 0]);
  const file = await AtomicFile.open(path);
  const missing = join(folder, 'none', 'picture.liif');
  await expect(file.commitNew(missing)).rejects.toThrow(`${missing}: cannot be written: the folder does not`);
  expect(await opened()).toEqual([2, 0]);
  await write(path, 'whole');
  expect(await opened()).toEqual([3, 0]);
  expect(await readdir(folder)).toEqual(['picture.liif']);
});

it('leaves no empty file where there are no hard links and the name cannot be had', async () => {
  const path = join(folder, 'picture.liif');
  const file = await AtomicFile.open(path);
  vi.mocked(link).mockRejectedValue(refusal('EPERM'));
  vi.mocked(rename).mockRejectedValue(refusal('ENOSPC'));
  await expect(file.commitNew(path)).rejects.toThrow(`${path}: cannot be written: no space left`);
  expect(await readdir(folder)).toEqual([]);
});

it.skipIf(process.platform === 'win32')(
  'goes where a link leads, from the folder that the link is really in, though nothing is there',
  async () => {
    await mkdir(join(folder, 'deep/sub'), { recursive: true });
    await symlink('../picture.liif', join(folder, 'deep/sub/link'));
    await symlink('deep/sub', join(folder, 'short'));
    await write(join(folder, 'short/link'), 'new');
    expect(await readFile(join(folder, 'deep/picture.liif'), 'utf8')).toBe('new');
    await symlink('round', join(folder, 'round'));
    await expect(write(join(folder, 'round'), 'new')).rejects.toThrow(OutputError);
  },
);

it('is refused for a folder before anything is written', async () => {
  await expect(AtomicFile.open(folder)).rejects.toThrow(`${folder}: cannot be written: is a directory`);
});

it.skipIf(process.platform === 'win32')('is copied into a device, and leaves no file then', async () => {
  const file = await AtomicFile.open('/dev/null');
  await file.write(Buffer.from('gone'));
  expect(await file.commit()).toBe(4);
  await expect(stat(file.temporary)).rejects.toThrow('ENOENT');
});

it.each(['EPERM', 'EACCES', 'EBUSY'])(
  'replaces a file that cannot be renamed to (%s), as an open one on Windows',
  async (code) => {
    const path = join(folder, 'picture.liif');
    await writeFile(path, 'old');
    vi.mocked(rename).mockRejectedValueOnce(refusal(code));
    await write(path, 'new');
    expect(await readFile(path, 'utf8')).toBe('new');
    expect(await readdir(folder)).toEqual(['picture.liif']);
  },
);

it('leaves a folder that has come to its name where it is', async () => {
  const path = join(folder, 'picture.liif');
  const file = await AtomicFile.open(path);
  await mkdir(path);
  vi.mocked(rename).mockRejectedValueOnce(refusal('EPERM'));
  await expect(file.commit()).rejects.toThrow(`${path}: cannot be written: permission denied`);
  expect((await stat(path)).isDirectory()).toBe(true);
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
