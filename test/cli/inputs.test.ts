import { copyFile, mkdir, symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { expect, it } from 'vitest';
import { expandFolders, IMAGES } from '../../src/cli/folders.ts';
import { expandInputs, isUrl, patternOf, placeOf } from '../../src/cli/inputs.ts';
import { useWorkbench } from './workbench.ts';

const bench = useWorkbench();

it('takes back slashes and parentheses of Windows for those of names', () => {
  expect(patternOf('C:\\photos (2)\\*.jpg', 'win32')).toBe('C:/photos \\(2\\)/*.jpg');
  expect(patternOf('photos/\\*.jpg', 'linux')).toBe('photos/\\*.jpg');
});

it('takes no drive for the scheme of a URL', () => {
  expect(isUrl('C:\\photos\\a.jpg')).toBe(false);
  expect(isUrl('c:/photos/a.jpg')).toBe(false);
});

it('tells names apart by case, except on Windows', () => {
  expect(placeOf('a/B.jpg', 'win32')).toBe(placeOf('A/b.jpg', 'win32'));
  expect(placeOf('a/B.jpg', 'linux')).not.toBe(placeOf('A/b.jpg', 'linux'));
});

it('expands globs of absolute and of relative paths, each file once', async () => {
  await mkdir(join(bench.folder, 'in'));
  for (const name of ['a.png', 'b.png', 'c.txt']) await copyFile(bench.photo, join(bench.folder, 'in', name));
  const absolute = ['a.png', 'b.png'].map((name) => join(bench.folder, 'in', name));
  const pattern = join(bench.folder, 'in/*.png');
  expect(await expandInputs([pattern])).toEqual(absolute);
  expect(await expandInputs([pattern, absolute[0]!])).toEqual(absolute);
  const fromHere = relative(process.cwd(), pattern);
  expect(await expandInputs([fromHere])).toEqual(absolute.map((path) => relative(process.cwd(), path)));
  const missing = join(bench.folder, 'in/*.webp');
  await expect(expandInputs([missing])).rejects.toThrow(`${missing}: no file matches`);
});

it('takes no files of packages for a glob or a folder that does not name them', async () => {
  const packages = join(bench.folder, 'project/node_modules/leaflet');
  await mkdir(packages, { recursive: true });
  const [own, icon] = [join(bench.folder, 'project/own.png'), join(packages, 'icon.png')];
  for (const path of [own, icon]) await copyFile(bench.photo, path);
  expect(await expandInputs([join(bench.folder, 'project/**/*.png')])).toEqual([own]);
  expect(await expandFolders([join(bench.folder, 'project')], IMAGES)).toEqual([own]);
  expect(await expandInputs([join(packages, '*.png')])).toEqual([icon]);
  expect(await expandFolders([packages], IMAGES)).toEqual([icon]);
});

it('takes each picture of a folder once, however it is named beside it', async () => {
  const folder = join(bench.folder, 'in');
  await mkdir(folder);
  for (const name of ['a.png', 'b.png']) await copyFile(bench.photo, join(folder, name));
  const here = relative(process.cwd(), folder);
  const inside = ['a.png', 'b.png'].map((name) => join(here, name));
  expect(await expandFolders([here, join(folder, 'b.png'), folder, join(folder, 'a.png')], IMAGES)).toEqual(
    inside,
  );
  if (process.platform === 'win32') return;
  await symlink(folder, join(bench.folder, 'link'));
  expect(await expandFolders([here, join(bench.folder, 'link')], IMAGES)).toEqual(inside);
});
