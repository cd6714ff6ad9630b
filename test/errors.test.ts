import { expect, expectTypeOf, it } from 'vitest';
import {
  FormatError,
  isLiifError,
  kindOf,
  type LiifErrorTag,
  messageOf,
  SourceError,
  shown,
} from '../src/errors.ts';

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

it('shows any value, and what any value is, in one short word', () => {
  const bare = Object.create(null);
  const nameless = new (class {})();
  const cases = [
    ['70', '"70"', 'String'],
    [70, '70', 'Number'],
    [5n, '5n', 'BigInt'],
    [Symbol('x'), 'Symbol(x)', 'Symbol'],
    [null, 'null', 'null'],
    [undefined, 'undefined', 'undefined'],
    [[1], 'Array', 'Array'],
    [{ toString: 5 }, 'Object', 'Object'],
    [bare, 'object', 'object'],
    [nameless, 'object', 'object'],
    [() => 1, 'Function', 'Function'],
  ] as const;
  for (const [value, text, kind] of cases) expect([shown(value), kindOf(value)]).toEqual([text, kind]);
});

it('cuts what is long', () => {
  expect(shown('x'.repeat(1000))).toBe(`"${'x'.repeat(99)}…`);
  expect(shown(10n ** 1000n)).toBe(`1${'0'.repeat(99)}…`);
});

it('says what went wrong in the words of whatever was thrown, and where apart from why', () => {
  expect([messageOf(new TypeError('no')), messageOf('no'), messageOf(undefined)]).toEqual([
    'no',
    'no',
    'undefined',
  ]);
  const damaged = new FormatError('chunk', 7, 'damaged');
  expect([damaged.message, damaged.reason]).toEqual(['chunk at byte 7: damaged', 'damaged']);
});
