import { expect, it } from 'vitest';
import { gridSpan } from '../../src/head/query.ts';
import { Reducer } from '../../src/pixels/reduce.ts';

const axis = (density: number) => {
  const count = 4;
  const span = gridSpan(0n, BigInt(count * density), count, density, BigInt(count * density), 0, count);
  return { density, span, count };
};

it.each([2, 8])(
  'a reduction by %i is the same however its rows come, and white stays white in 16 bits',
  (m) => {
    const side = 4 * m;
    const grid = Uint16Array.from({ length: side * side }, (_, i) => (i * i * 40_503) % 65_536);
    const whole = new Reducer(1, 16, axis(m), axis(m));
    whole.push(grid);
    const expected = whole.finish();
    expect(Math.max(...expected.data)).toBeGreaterThan(255);
    const rows = new Reducer(1, 16, axis(m), axis(m));
    for (let at = 0; at < grid.length; at += side) rows.push(grid.subarray(at, at + side));
    expect(rows.finish()).toEqual(expected);
    const white = new Reducer(1, 16, axis(m), axis(m));
    white.push(grid.fill(65_535));
    expect(Array.from(white.finish().data)).toEqual(Array(16).fill(65_535));
  },
);

it('below a picture its last row goes on, whatever stands above that', () => {
  const reduced = (height: number) => {
    const rows = { density: 8, span: gridSpan(0n, 32n, 4, 8, BigInt(height), 0, 4), count: 4 };
    const { count } = rows.span;
    const reducer = new Reducer(1, 16, rows, axis(8));
    for (let y = 0; y < count; y++) reducer.push(new Uint16Array(32).fill(y < 27 ? 1000 : 3000));
    return reducer.finish();
  };
  expect(reduced(28)).toEqual(reduced(100));
});

it.each([
  [8, 2],
  [2, 8],
])('means are taken of blocks where the grid is %i times as high and %i times as wide', (rows, columns) => {
  const halved = (m: number) => Math.min(m, 4);
  const reduced = (rowDensity: number, columnDensity: number) => {
    const [height, width] = [4 * rowDensity, 4 * columnDensity];
    // Blocks of 2 have one value.
    const [down, across] = [rowDensity / halved(rowDensity), columnDensity / halved(columnDensity)];
    const grid = Uint16Array.from({ length: height * width }, (_, i) => {
      const [y, x] = [Math.floor(i / width / down), Math.floor((i % width) / across)];
      return (x * x * 7919 + y * 40_503) % 65_536;
    });
    const reducer = new Reducer(1, 16, axis(rowDensity), axis(columnDensity));
    reducer.push(grid);
    return reducer.finish();
  };
  expect(reduced(rows, columns)).toEqual(reduced(halved(rows), halved(columns)));
});
