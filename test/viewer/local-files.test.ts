import { afterEach, expect, it, vi } from 'vitest';
import { isLiif, LocalFiles, localFileIn, sourceAddress } from '../../viewer/decoder/local-files.ts';

afterEach(() => vi.unstubAllGlobals());

it('files of a visitor are found by their entries of the history, and none of the page before', () => {
  const files = new LocalFiles();
  const [a, b] = ['a.liif', 'b.LIIF'].map((name) => new File(['x'], name));
  const entries = [files.add(a!), files.add(b!)];
  for (const [i, file] of [a, b].entries()) expect(files.of(entries[i]!)).toBe(file);
  expect(entries.map(({ name }) => name)).toEqual(['a.liif', 'b.LIIF']);
  vi.stubGlobal('performance', { timeOrigin: performance.timeOrigin + 1000 });
  const later = new LocalFiles();
  later.add(a!);
  expect(later.of(entries[0]!)).toBeUndefined();
  expect([isLiif(b!), isLiif(new File([], 'liif.png'))]).toEqual([true, false]);
});

it('an entry of the history may name a file, or anything else', () => {
  expect(localFileIn({ file: '1 2', name: 'a.liif', more: 3 })).toEqual({ file: '1 2', name: 'a.liif' });
  expect(localFileIn({ file: '1 2' })).toEqual({ file: '1 2', name: 'The file' });
  for (const state of [null, undefined, 3, 'x', {}, { name: 'a.liif' }, { file: 3 }])
    expect(localFileIn(state)).toBeUndefined();
});

it('addresses of files are those of the web, and their titles can be read', () => {
  vi.stubGlobal('document', { baseURI: 'https://host/viewer/' });
  expect(sourceAddress('../a%20b.LIIF?x=1')).toEqual(['https://host/a%20b.LIIF?x=1', 'a b']);
  expect(sourceAddress('http://other/100%.liif')[1]).toBe('100%');
  expect(sourceAddress('http://other/x/')[1]).toBe('other');
  for (const source of ['javascript:alert(1)', 'file:///etc/passwd', 'blob:https://host/1', 'data:,x'])
    expect(() => sourceAddress(source)).toThrow(`${source} is not the address of a file on the web.`);
  expect(() => sourceAddress('http://[')).toThrow('http://[ is not an address.');
});
