import { expect, it } from 'vitest';
import { sourceLink } from '../../src/cli/source-link.ts';

/** The file that a page in `folder` asks its host for. */
function asked(link: string, folder = 'http://host/folder/'): string {
  const { href, search } = new URL(new URL(link, folder).searchParams.get('src')!, folder);
  expect([href.startsWith(folder), search]).toEqual([true, '']);
  return decodeURIComponent(href.slice(folder.length));
}

it('leads to the file, whatever its name has in it', () => {
  for (const name of [
    ' a',
    '  a',
    'a#b',
    'a?b',
    'a b',
    '50%',
    '%2e%2e',
    '%41',
    'x:y',
    'a\\b',
    'a\tb',
    'ü&+=',
  ])
    expect(asked(sourceLink(`${name}.liif`))).toBe(`${name}.liif`);
});

it('is plain where the name is', () => {
  expect(sourceLink('tea.liif')).toBe('?src=tea.liif');
  expect(sourceLink('old map.liif')).toBe('?src=old%20map.liif');
});
