import { expect, expectTypeOf, it } from 'vitest';
import { FormatError, isLiifError, type LiifErrorTag, SourceError, shown } from '../src/errors.ts';

it('tells errors of the library apart, and their types', () => {
  const changed: unknown = new SourceError('another file', { code: 'changed' });
  expect(isLiifError(changed)).toBe(true);
  expect(isLiifError(changed, 'FormatError')).toBe(false);
  expect(isLiifError(new Error('another'))).toBe(false);
  if (!isLiifError(changed, 'SourceError')) throw changed;
  expectTypeOf(changed).toEqualTypeOf<SourceError>();
  expect(changed.code).toBe('changed');

  const damaged: unknown = new FormatError('chunk', 7, 'damaged');
  if (!isLiifError(damaged, 'FormatError')) throw damaged;
  expectTypeOf(damaged).toEqualTypeOf<FormatError>();
  expect([damaged.section, damaged.byteOffset]).toEqual(['chunk', 7]);

  const either: unknown = damaged;
  if (!isLiifError(either)) throw either;
  const tag: LiifErrorTag = either._tag;
  expect(tag).toBe('FormatError');
});

it('quotes text in messages, and cuts what is long', () => {
  expect([shown('70'), shown(70), shown(undefined)]).toEqual(['"70"', '70', 'undefined']);
  expect(shown('x'.repeat(1000))).toBe(`"${'x'.repeat(99)}…`);
  expect(shown(new Array(1000).fill(1))).toBe(`${'1,'.repeat(50)}…`);
});
