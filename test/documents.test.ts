import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './built.ts';

const documents = ['.', 'src', 'viewer', 'samples', 'format-spec'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: folder !== '.', encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(root, folder, name)),
);
const textOf = (path: string) => readFileSync(path, 'utf8');
const withoutCode = (text: string) => text.replace(/^```.*?^```/gms, '');

/** The fragments that GitHub makes of headings. */
function anchorsOf(path: string): readonly string[] {
  return [...withoutCode(textOf(path)).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe.each(documents.map((path) => [relative(root, path), path]))('%s', (_, path) => {
  it('links to files and headings that exist', () => {
    const links = [...withoutCode(textOf(path)).matchAll(/\]\((?![a-z]+:)([^)#]*)(?:#([^)]*))?\)/g)];
    const broken = links.filter(([, file, anchor]) => {
      const target = file === '' ? path : join(dirname(path), file!);
      return !existsSync(target) || (anchor !== undefined && !anchorsOf(target).includes(anchor));
    });
    expect(broken.map(([link]) => link)).toEqual([]);
  });

  it('wraps its prose at 120 columns', () => {
    const lines = withoutCode(textOf(path)).split('\n');
    const tableOrImage = /^(\||!\[)/;
    expect(lines.filter((line) => line.length > 120 && !tableOrImage.test(line))).toEqual([]);
  });

  it('names scripts of package.json only', () => {
    const { scripts } = JSON.parse(textOf(join(root, 'package.json')));
    const named = [...textOf(path).matchAll(/npm run ([a-z][a-z:-]*)/g)].map(([, name]) => name!);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
