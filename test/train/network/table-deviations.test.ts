import { expect, it } from 'vitest';
import { RequestError } from '../../../src/errors.ts';
import { releasedModel } from '../../../src/model/released-model.ts';
import { parseModel } from '../../../src/network/load.ts';
import type { CdfTables } from '../../../src/network/model.ts';
import { tableDeviation, tableDeviations } from '../../../src/train/network/table-deviations.ts';
import { refitTables } from '../../../src/train/refit-tables.ts';
import { tinyModelBytes } from '../../fixtures/tiny-model.ts';

const { tables } = await releasedModel();

/** The first tables of a model. */
function firstTables(all: CdfTables, count: number): CdfTables {
  return {
    ...all,
    count,
    start: all.start.slice(0, count + 1),
    minimum: all.minimum.slice(0, count),
    rawBits: all.rawBits.slice(0, count),
  };
}

it('finds what the exporter laid the latent tables of the released model out by', () => {
  // format-spec/reference/tables.py: 66 of them from index 1 on, for 0.135 steps and 5 more to the octave.
  const { first, last, offset, perOctave } = tableDeviations(tables);
  expect([first, last]).toEqual([1, 66]);
  expect(perOctave).toBeCloseTo(5, 1);
  for (let index = first; index <= last; index++) {
    const laidOut = Math.log2(0.135) + (index - 1) / 5;
    expect(Math.abs(offset + index / perOctave - laidOut)).toBeLessThan(0.05);
  }
});

it('measures the deviation of the symbols themselves, which are rounded', () => {
  const { measured, last } = tableDeviations(tables);
  expect(measured).toHaveLength(last + 1);
  expect(measured[0]).toBeNaN();
  // Of table 1, the 36 of 16383 symbols that are not zero.
  expect(measured[1]).toBeCloseTo(Math.log2(36 / 16383) / 2, 4);
  expect(2 ** measured[20]!).toBeCloseTo(Math.hypot(0.135 * 2 ** 3.8, Math.sqrt(1 / 12)), 1);
});

it('counts with the raw bits of wide tables', () => {
  const { measured } = tableDeviations(tables);
  for (const index of [30, 41, 60])
    expect(Math.abs(measured[index]! - Math.log2(0.135) - (index - 1) / 5)).toBeLessThan(0.05);
});

it('takes all tables as those of latents where no narrow ones follow', () => {
  const latent = firstTables(tables, 67);
  const { measured: _, ...whole } = tableDeviations(tables);
  expect(tableDeviations(latent)).toMatchObject(whole);
  const tiny = tableDeviations(parseModel(tinyModelBytes()).tables);
  expect([tiny.first, tiny.last]).toEqual([1, 13]);
  // The fixture: a factor of 1.6 from one to the next.
  expect(tiny.perOctave).toBeCloseTo(Math.LN2 / Math.log(1.6), 0);
});

it('does not end the latent tables where counting has made one a little narrower than the one before', () => {
  const latent = firstTables(tables, 67);
  const narrow = Array.from({ length: 2000 }, (_, i) => [-12, 11, -20, 19][i % 4]!);
  const counts = Array.from({ length: 41 }, () => new Map<number, number>());
  for (const symbol of narrow) counts[40]!.set(symbol, (counts[40]!.get(symbol) ?? 0) + 1);
  const { measured, last } = tableDeviations(refitTables(latent, counts));
  expect(measured[40]).toBeLessThan(measured[39]! - 0.3);
  expect(last).toBe(66);
});

it('refuses tables that hardly hold anything but zeros', () => {
  expect(() => tableDeviations(firstTables(tables, 5))).toThrow(RequestError);
  expect(() => tableDeviations(firstTables(tables, 1))).toThrow(RequestError);
});

it('measures hyper tables, which are spaced by a third of an octave', async () => {
  const { tables, hyper } = await releasedModel();
  const { last } = tableDeviations(tables);
  const measured = Array.from({ length: tables.count - last - 1 }, (_, i) =>
    tableDeviation(tables, last + 1 + i),
  );
  expect(measured).toHaveLength(Math.max(...hyper.table) - last);
  // The exporter's own figures: 0.135 steps, and three to the octave.
  for (const [i, octaves] of measured.entries())
    expect(Math.abs(octaves - (Math.log2(0.135) + i / 3))).toBeLessThan(0.4);
  expect(tableDeviation(tables, 0)).toBe(Number.NEGATIVE_INFINITY);
});
