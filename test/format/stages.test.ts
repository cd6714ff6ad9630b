import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Patch } from '../../src/engine/engine.ts';
import { runLayers } from '../../src/engine/reference/layers.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { codingTables } from '../../src/entropy/cdf-table.ts';
import { encodeSymbols, RansDecoder } from '../../src/entropy/rans.ts';
import { ensembleWeights, renderQuery } from '../../src/head/ensemble.ts';
import { gridSpan, planSampling, sampleAxis } from '../../src/head/query.ts';
import type { Exact } from '../../src/head/rational.ts';
import { clamp, leaky, round, sat16 } from '../../src/network/fixed-point.ts';
import { loadModel } from '../../src/network/load.ts';
import type { CdfTables, Model } from '../../src/network/model.ts';
import { Reducer } from '../../src/pixels/reduce.ts';
import { exact, modelBytes, readVectors, type VectorQuery } from './vector-files.ts';

/** The vectors of single steps (specification 5.2) against the functions that take these steps here. */

function stage<Given, Expected>(name: string): Given & { readonly expected: Expected } {
  return readVectors<Given & { expected: Expected }>('stages').find((vector) => vector.name === name)!;
}

let model: Model;
beforeAll(async () => {
  model = await loadModel(modelBytes('small.safetensors'));
});

it('rounds, clamps and saturates as 3.1 says', () => {
  const given = stage<
    { round: [number, number][]; leaky: number[]; sat16: number[]; clamp: [number, number][] },
    { rounded: number[]; leaked: number[]; saturated: number[]; clamped: number[] }
  >('fixed-point');
  expect({
    rounded: given.round.map(([value, shift]) => round(value, shift)),
    leaked: given.leaky.map(leaky),
    saturated: given.sat16.map(sat16),
    clamped: given.clamp.map(([value, limit]) => clamp(value, limit)),
  }).toEqual(given.expected);
});

it('codes symbols as 2.2 and 2.3 say', () => {
  const given = stage<
    {
      precision: number;
      tables: { frequency: number[]; minimum: number; rawBits: number }[];
      indices: number[];
      chunk: string;
    },
    { symbols: number[] }
  >('rans');
  const starts = [0];
  for (const { frequency } of given.tables) starts.push(starts.at(-1)! + frequency.length);
  const tables: CdfTables = {
    count: given.tables.length,
    precision: given.precision,
    start: Int32Array.from(starts),
    frequency: Int16Array.from(given.tables.flatMap(({ frequency }) => frequency)),
    minimum: Int16Array.from(given.tables, ({ minimum }) => minimum),
    rawBits: Int16Array.from(given.tables, ({ rawBits }) => rawBits),
  };
  const bytes = new Uint8Array(Buffer.from(given.chunk, 'hex'));
  const indices = Uint8Array.from(given.indices);
  const symbols = new Int16Array(indices.length);
  const decoder = new RansDecoder(bytes, codingTables(tables), indices.length);
  decoder.decode(indices, indices.length, symbols);
  decoder.finish();
  expect([...symbols]).toEqual(given.expected.symbols);
  // Not the same bytes: this encoder takes no bypass that it does not need.
  const again = new RansDecoder(
    encodeSymbols(codingTables(tables), indices, symbols),
    codingTables(tables),
    64,
  );
  const second = new Int16Array(indices.length);
  again.decode(indices, indices.length, second);
  again.finish();
  expect(second).toEqual(symbols);
});

it('finds the latents of a chunk as 3.6 says', async () => {
  const given = stage<
    { quality: number; rows: number; columns: number; chunk: string },
    { shape: number[]; latents: number[] }
  >('prior');
  const latents = await openReferenceEngine(model).decodeChunk(
    new Uint8Array(Buffer.from(given.chunk, 'hex')),
    { height: given.rows, width: given.columns },
    given.quality,
  );
  expect([...latents]).toEqual(given.expected.latents);
});

it('runs every layer of a synthesis as 3.3 says', () => {
  const given = stage<
    { quality: number; shape: [number, number, number]; latents: number[] },
    { layers: { shape: [number, number, number]; sha256: string; first: number[] }[] }
  >('synthesis');
  const [height, width, channels] = given.shape;
  const rect = { top: 0, left: 0, height, width };
  const input: Patch = { rect, channels, data: Int16Array.from(given.latents) };
  given.expected.layers.forEach(({ shape, sha256, first }, i) => {
    const output = { top: 0, left: 0, height: shape[0], width: shape[1] };
    const made = runLayers(model.synthesis.slice(0, i + 1), input, { height, width }, output, given.quality);
    const what = `layer ${i}`;
    expect(made.channels, what).toBe(shape[2]);
    expect([...made.data.subarray(0, first.length)], what).toEqual(first);
    expect(createHash('sha256').update(new Uint8Array(made.data.buffer)).digest('hex'), what).toBe(sha256);
  });
});

it('samples axes as 4.2 says', () => {
  interface Axis {
    readonly index: number[];
    readonly fraction: number[];
    readonly cell: number;
  }
  const given = stage<
    {
      levels: number;
      overviewFactor: number;
      width: number;
      height: number;
      queries: Pick<VectorQuery, 'region' | 'size'>[];
    },
    { plans: { level: number; density: [number, number]; rows: Axis; columns: Axis }[] }
  >('query');
  const sites = 48;
  // Indices far outside may be brought to the nearest that means the same.
  const held = ({ index, fraction, cell }: Axis) => ({
    index: index.map((i) => Math.max(-1, Math.min(sites - 1, i))),
    fraction,
    cell,
  });
  given.queries.forEach(({ region, size }, i) => {
    const [x, y, width, height] = region.map(exact) as [never, never, never, never];
    const plan = planSampling({ x, y, width, height }, size[0], size[1], given.levels, given.overviewFactor);
    const { rows, columns } = plan.density;
    const reduced = rows > 1 || columns > 1;
    const axis = (start: Exact, length: Exact, count: number, m: number, side: number): Axis => {
      const extent = BigInt(Math.ceil(side / Number(plan.reduction))) * plan.reduction;
      const span = gridSpan(start, length, count, m, extent, 0, count);
      const { index, fraction, cell } = reduced
        ? sampleAxis(
            start,
            length,
            count * m,
            plan.reduction,
            sites,
            span.first,
            span.first + BigInt(span.count),
          )
        : sampleAxis(start, length, count, plan.reduction, sites);
      // All that are wanted, the margins repeated.
      const at = (n: number) => Math.min(span.count - 1, Math.max(0, n + span.shift));
      const each = Array.from({ length: span.wanted }, (_, n) => (reduced ? at(n) : n));
      return { index: each.map((n) => index[n]!), fraction: each.map((n) => fraction[n]!), cell };
    };
    const expected = given.expected.plans[i]!;
    expect({
      level: plan.level,
      density: [rows, columns],
      rows: axis(y, height, size[1], rows, given.height),
      columns: axis(x, width, size[0], columns, given.width),
    }).toEqual({ ...expected, rows: held(expected.rows), columns: held(expected.columns) });
  });
});

it('weighs the ensemble as 4.4 says', () => {
  const given = stage<{ fractions: [number, number][] }, { weights: number[][] }>('ensemble');
  expect(given.fractions.map(([row, column]) => [...ensembleWeights(row, column)])).toEqual(
    given.expected.weights,
  );
});

describe('the head', () => {
  it('makes samples as 4.4 and 4.5 say', () => {
    const given = stage<{ sites: number[][][]; queries: VectorQuery[] }, { samples: number[][] }>('head');
    const level = { height: given.sites.length, width: given.sites[0]!.length };
    const features = {
      rect: { top: 0, left: 0, ...level },
      level,
      data: Int16Array.from(given.sites.flat(2)),
    };
    const samples = given.queries.map(({ region, size, depth }) => {
      const [x, y, width, height] = region.map(exact) as [never, never, never, never];
      return renderQuery(model.head, features, {
        rows: sampleAxis(y, height, size[1], 1n, level.height),
        columns: sampleAxis(x, width, size[0], 1n, level.width),
        depth,
      });
    });
    expect(samples.map((values) => [...values])).toEqual(given.expected.samples);
  });
});

it('reduces as 4.7 says', () => {
  interface Reduction {
    readonly depth: 8 | 16;
    readonly density: [number, number];
    readonly samples: number[][];
  }
  const given = stage<{ reductions: Reduction[] }, { outputs: number[][][] }>('reduction');
  given.reductions.forEach(({ depth, density, samples }, i) => {
    const expected = given.expected.outputs[i]!;
    const axis = (m: number, wanted: number, count: number) => ({
      density: m,
      span: { first: 0n, count: wanted, wanted, shift: 0 },
      count,
    });
    const rows = axis(density[0], samples.length, expected.length);
    const columns = axis(density[1], samples[0]!.length, expected[0]!.length);
    const reducer = new Reducer(1, depth, rows, columns);
    const typed = (values: number[]) => (depth === 8 ? Uint8Array.from(values) : Uint16Array.from(values));
    // In two pieces: the cut must not show.
    const cut = samples.length >> 1;
    reducer.push(typed(samples.slice(0, cut).flat()));
    reducer.push(typed(samples.slice(cut).flat()));
    expect([...reducer.finish().data]).toEqual(expected.flat());
  });
});
