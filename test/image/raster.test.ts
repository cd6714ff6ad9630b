import { expect, it } from 'vitest';
import { copyOf, cropped, type Raster } from '../../src/image/raster.ts';

const raster = (data: Raster['data']): Raster => ({ width: 3, height: 2, channels: 1, data });

it.each([
  ['a Uint8Array', Uint8Array.of(1, 2, 3, 4, 5, 6)],
  ['a Buffer', Buffer.from([1, 2, 3, 4, 5, 6])],
  ['a Uint16Array', Uint16Array.of(1, 2, 3, 4, 5, 6)],
])('a rectangle of %s is cut out, and what it is cut from stays as it is', (_, data) => {
  const part = cropped(raster(data), { left: 1, top: 0, width: 2, height: 2 });
  expect([...part.data]).toEqual([2, 3, 5, 6]);
  expect(part.data).toBeInstanceOf(data instanceof Uint16Array ? Uint16Array : Uint8Array);
  expect([...data]).toEqual([1, 2, 3, 4, 5, 6]);
});

it.each([
  ['a Uint8Array', Uint8Array.of(1, 2)],
  ['a Buffer', Buffer.from([1, 2])],
  ['a Uint16Array', Uint16Array.of(1, 2)],
])('a copy of %s has memory of its own', (_, data) => {
  const copy = copyOf(data);
  copy.fill(9);
  expect([...data]).toEqual([1, 2]);
});
