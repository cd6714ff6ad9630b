import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { RequestError } from '../src/errors.ts';
import { pathOf } from '../src/file-url.ts';

it('takes paths as they are, and file: URLs as objects and as text', () => {
  expect(pathOf('a b.png')).toBe('a b.png');
  const url = pathToFileURL('/tmp/a b.png');
  expect(pathOf(url)).toBe(pathOf(url.href));
  expect(pathToFileURL(pathOf(url))).toEqual(url);
});

it.each([
  [new URL('https://example.org/a'), 'received https:'],
  [undefined, 'path: expected a path or a file: URL but received undefined'],
  [5, 'received 5'],
  ['file://elsewhere/a%2Fb', 'file://elsewhere/a%2Fb: '],
])('refuses %s', (place, message) => {
  expect(() => pathOf(place as string)).toThrow(RequestError);
  expect(() => pathOf(place as string)).toThrow(message);
});
