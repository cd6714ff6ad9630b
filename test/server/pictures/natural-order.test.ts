import { expect, it } from 'vitest';
import { compareInOrder, inOrder, orderOf } from '../../../src/server/pictures/catalog/natural-order.ts';

it('numbers go by their value, and capitals and accents count for nothing', () => {
  const names = ['b', 'IMG_10', 'Über', 'img_2', 'IMG_1', 'a/2', 'a/10', 'IMG_002', 'unter', 'Ast', 'IMG_2'];
  expect(inOrder(names)).toEqual([
    'a/2',
    'a/10',
    'Ast',
    'b',
    'IMG_1',
    'IMG_002',
    'IMG_2',
    'img_2',
    'IMG_10',
    'Über',
    'unter',
  ]);
  expect(inOrder([...names].reverse())).toEqual(inOrder(names));
});

it('numbers of any length have their place', () => {
  const names = ['p', 'p-1', 'p0', 'p00', 'p9', `p1${'0'.repeat(30)}`, `p2${'0'.repeat(30)}`, 'pa'];
  expect(inOrder([...names].reverse())).toEqual(names);
});

it('wide digits, and letters that are joined in one sign, count as what they stand for', () => {
  const names = ['２', '10', '１１', 'fl', 'ﬂa', 'fm'];
  expect(inOrder([...names].reverse())).toEqual(names);
});

it('names of the same order go by their code units, and only a name itself is equal to it', () => {
  const [upper, lower] = ['A', 'a'].map((id) => ({ id, order: orderOf(id) }));
  expect(compareInOrder(upper!, lower!)).toBe(-1);
  expect(compareInOrder(lower!, upper!)).toBe(1);
  expect(compareInOrder(lower!, lower!)).toBe(0);
});
