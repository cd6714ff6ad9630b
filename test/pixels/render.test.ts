import { expect, it } from 'vitest';
import type { Engine, FeatureMap, Query } from '../../src/engine/engine.ts';
import type { Lease } from '../../src/features/leased-cache.ts';
import type { Raster } from '../../src/image/raster.ts';
import { type RenderCall, type RenderPicture, renderPiece } from '../../src/pixels/render.ts';

const SIDE = 64;
const region = { x: 0, y: 0, width: SIDE, height: SIDE };
const rect = { top: 0, left: 0, height: SIDE, width: SIDE };

/** Counts leases that are not given back. */
function leases() {
  let open = 0;
  const lease = <V>(value: V): Lease<V> => {
    open++;
    return { value, release: () => void open-- };
  };
  return { lease, open: () => open };
}

/** A gray picture of one level with windows of 16 sites, and an engine of which calls may be replaced. */
function callOf(
  calls: Partial<Engine>,
  picture: Partial<RenderPicture> & Pick<RenderPicture, 'features'>,
  signal?: AbortSignal,
): RenderCall {
  const engine = {
    threads: 2,
    model: { head: { hidden: 8 } },
    pixels: async (_: FeatureMap, queries: readonly Query[]) =>
      queries.map(({ rows, columns }) => new Uint8Array(3 * rows.index.length * columns.index.length)),
    ...calls,
  } as unknown as Engine;
  return {
    engine,
    picture: {
      width: SIDE,
      height: SIDE,
      levels: 1,
      overviewFactor: 4,
      channels: 1,
      alpha: false,
      sites: () => ({ width: SIDE, height: SIDE }),
      ...picture,
    },
    blocks: { size: 16, fitted: false },
    signal,
  };
}

const failing = () => Promise.reject(new Error('the engine fails'));
const map = {} as FeatureMap;

it('gives all features back where the engine fails, at native scale and reduced', async () => {
  const { lease, open } = leases();
  const features = async () => lease(map);
  const native = { region, width: SIDE, height: SIDE, depth: 8 } as const;
  const half = { ...native, width: SIDE / 2, height: SIDE / 2 };
  for (const [query, piece] of [
    [native, rect],
    [half, { ...rect, height: SIDE / 2, width: SIDE / 2 }],
  ] as const) {
    const call = callOf({ pixels: failing, reduce: failing }, { features });
    await expect(renderPiece(call, query, piece)).rejects.toThrow('the engine fails');
    expect(open()).toBe(0);
  }
});

it('gives kept pixels back, and the features that stand in for those that are not kept', async () => {
  const { lease, open } = leases();
  let most = 0;
  const kept: Raster = { width: 16, height: 16, channels: 1, data: new Uint8Array(256).fill(7) };
  const call = callOf(
    {},
    {
      features: async () => lease(map),
      sitePixels: (_level, _plane, { top, left }) => {
        most = Math.max(most, open());
        return top === left ? Promise.resolve(lease(kept)) : undefined;
      },
    },
  );
  const query = { region, width: SIDE, height: SIDE, depth: 8 } as const;
  const { data } = await renderPiece(call, query, rect);
  expect(data.filter((value) => value === 7)).toHaveLength(4 * 256);
  expect([open(), most <= call.engine.threads + 1]).toEqual([0, true]);
});

it('asks for kept pixels only where they are those of the output: of 8 bits, on sites, in blocks', async () => {
  let asked = 0;
  const { lease } = leases();
  const call = callOf(
    {},
    {
      features: async () => lease(map),
      sitePixels: () => {
        asked++;
        return undefined;
      },
    },
  );
  const native = { region, width: SIDE, height: SIDE, depth: 8 } as const;
  const between = { ...region, x: 0.5, width: SIDE - 1 };
  await renderPiece(call, { ...native, depth: 16 }, rect);
  await renderPiece({ ...call, blocks: { size: 16, fitted: true } }, native, rect);
  await renderPiece(call, { ...native, region: between, width: SIDE - 1 }, { ...rect, width: SIDE - 1 });
  // One pixel in the middle of a site, but smaller.
  const fine = { x: 0.375, y: 0.375, width: 0.25, height: 0.25 };
  await renderPiece(call, { ...native, region: fine, width: 1, height: 1 }, { ...rect, height: 1, width: 1 });
  expect(asked).toBe(0);
  await renderPiece(call, native, rect);
  expect(asked).toBe(16);
});

it('reduces kept pixels from where they lie in their blocks', async () => {
  const { lease, open } = leases();
  // Each pixel is the number of its place in a block.
  const kept: Raster = {
    width: 16,
    height: 16,
    channels: 3,
    data: Uint8Array.from({ length: 768 }, (_, i) => i / 3),
  };
  let parts = 0;
  const reduce: Engine['reduce'] = async (reduction) => {
    const [rows, columns] = [reduction.grid.rows.index, reduction.grid.columns.index];
    for (const { rect, ...part } of reduction.parts) {
      if (!('samples' in part)) throw new Error('Expected samples');
      const at = (y: number, x: number) => part.samples[y * part.pitch + 3 * x];
      const placeOf = (y: number, x: number) =>
        (rows[rect.top + y]! % 16) * 16 + (columns[rect.left + x]! % 16);
      const [y, x] = [rect.height - 1, rect.width - 1];
      expect([at(0, 0), at(y, x)]).toEqual([placeOf(0, 0), placeOf(y, x)]);
      parts++;
    }
    return new Uint8Array(reduction.rows.count * reduction.columns.count * 3);
  };
  const picture = { channels: 3, features: failing, sitePixels: async () => lease(kept) } as const;
  const query = { region: { x: 21, y: 26, width: 20, height: 16 }, width: 10, height: 8, depth: 8 } as const;
  const piece = { top: 0, left: 0, height: 8, width: 10 };
  const { width, height } = await renderPiece(callOf({ reduce }, picture), query, piece);
  expect([width, height, open()]).toEqual([10, 8, 0]);
  expect(parts).toBe(4);
});

it('joins color and alpha, though each alone is as large as the output', async () => {
  const { lease } = leases();
  const call = callOf(
    {
      pixels: async (features, queries) =>
        queries.map(({ rows }) =>
          new Uint8Array(3 * rows.index.length * SIDE).fill(features === map ? 9 : 5),
        ),
    },
    {
      channels: 3,
      alpha: true,
      features: async (_level, plane) => lease(plane === 0 ? map : ({} as FeatureMap)),
    },
  );
  const query = { region, width: SIDE, height: SIDE, depth: 8 } as const;
  const whole = { ...call, blocks: { size: SIDE, fitted: false } };
  const { channels, data } = await renderPiece(whole, query, rect);
  expect([channels, data.length, ...data.subarray(0, 8)]).toEqual([4, 4 * SIDE ** 2, 9, 9, 9, 5, 9, 9, 9, 5]);
});

it('reduces an overview to its last site, which reaches beyond the picture', async () => {
  const { lease } = leases();
  let count: number | undefined;
  const call = callOf(
    {
      reduce: async ({ columns }) => {
        count = columns.span.count;
        return new Uint8Array(8 * 8);
      },
    },
    { width: 65, levels: 2, features: async () => lease(map), sites: () => ({ width: 32, height: 16 }) },
  );
  const query = { region: { ...region, x: 1 }, width: 8, height: 8, depth: 8 } as const;
  await renderPiece(call, query, { top: 0, left: 0, height: 8, width: 8 });
  // Centers 1 + 4 (i + 1/2) before 68, where the overview's 17 sites end.
  expect(count).toBe(17);
});

it('filters rows of any length in turns, between which it can be stopped', async () => {
  const { lease } = leases();
  const width = 2 ** 19 + 64;
  const gone = new AbortController();
  const call = callOf(
    {
      pixels: async (_, queries) => {
        expect(queries).toHaveLength(2);
        setTimeout(() => gone.abort(new Error('gone')));
        return queries.map(() => new Uint8Array(3 * width).fill(200));
      },
    },
    { width, height: 2, sites: () => ({ width, height: 2 }), features: async () => lease(map) },
    gone.signal,
  );
  const wide = { ...call, blocks: { size: 2 ** 20, fitted: false } };
  const half = { width: width / 2, height: 1 };
  const query = { region: { x: 0, y: 0, width, height: 2 }, ...half, depth: 8 } as const;
  await expect(renderPiece(wide, query, { top: 0, left: 0, ...half })).rejects.toThrow('gone');
});

it('lends memory to an engine only for what is the whole output', async () => {
  const { lease } = leases();
  const lent: unknown[] = [];
  const call = callOf(
    {
      pixels: async (_, queries) =>
        queries.map(({ rows, columns, into }) => {
          lent.push(into);
          return new Uint8Array(3 * rows.index.length * columns.index.length);
        }),
      reduce: async ({ into }) => {
        lent.push(into);
        return new Uint8Array((SIDE / 2) ** 2);
      },
    },
    { features: async () => lease(map) },
  );
  const native = { region, width: SIDE, height: SIDE, depth: 8 } as const;
  const into = new Uint8Array(SIDE * SIDE);
  await renderPiece(call, native, rect, into);
  // Strips that are as wide as the output are not all of it either.
  const row = { ...native, region: { ...region, height: 16 }, height: 16 };
  await renderPiece({ ...call, blocks: { size: SIDE, fitted: false } }, row, { ...rect, height: 16 }, into);
  const column = { ...native, region: { ...region, width: 16 }, width: 16 };
  await renderPiece(call, column, { ...rect, width: 16 }, into);
  await renderPiece(call, row, { ...rect, height: 16 }, into);
  expect(lent).toEqual([...Array(16).fill(undefined), into, ...Array(8).fill(undefined)]);
  lent.length = 0;
  const half = { ...native, width: SIDE / 2, height: SIDE / 2 };
  await renderPiece(call, half, { ...rect, height: SIDE / 2, width: SIDE / 2 }, into);
  expect(lent).toEqual([into]);
});

it('lets its signal stop what it asks for', async () => {
  const { signal } = new AbortController();
  const seen: unknown[] = [];
  const { lease } = leases();
  const call = callOf(
    {
      pixels: async (_, queries, given) => {
        seen.push(given);
        return queries.map(
          ({ rows, columns }) => new Uint8Array(3 * rows.index.length * columns.index.length),
        );
      },
      reduce: async (_, given) => {
        seen.push(given);
        return new Uint8Array(1);
      },
    },
    {
      features: async (_level, _plane, _rect, given) => {
        seen.push(given);
        return lease(map);
      },
      sitePixels: (_level, _plane, { top }, _wanted, given) => {
        seen.push(given);
        return top > 0
          ? undefined
          : Promise.resolve(lease({ width: 16, height: 16, channels: 1, data: new Uint8Array(256) }));
      },
    },
    signal,
  );
  await renderPiece(call, { region, width: SIDE, height: SIDE, depth: 8 }, rect);
  await renderPiece(call, { region, width: 1, height: 1, depth: 8 }, { ...rect, height: 1, width: 1 });
  expect(seen.length).toBeGreaterThan(40);
  expect(seen.every((given) => given === signal)).toBe(true);
});
