import { RequestError } from '../../errors.ts';
import type { Axis, Extent, Query, Rect } from '../engine.ts';

/** Rows `firstRow` .. `firstRow + height - 1` of a query's raster. */
export interface Piece {
  readonly query: number;
  readonly firstRow: number;
}

/**
 * Pieces of queries that one graph execution renders: as many rows and columns each, and the same samples.
 */
export interface QueryBatch {
  readonly pieces: readonly Piece[];
  readonly height: number;
  readonly width: number;
  readonly depth: 8 | 16;
  /**
   * Whether any pixel's center lies between two rows (or columns) of sites: only then do the further ones
   * weigh anything.
   */
  readonly betweenRows: boolean;
  readonly betweenColumns: boolean;
}

/**
 * Cuts queries into pieces of at most `maxPixels` (one row at least) and joins those of a shape, up to
 * `maxPixels` a batch.
 */
export function planBatches(queries: readonly Query[], maxPixels: number): QueryBatch[] {
  const open = new Map<string, QueryBatch & { pieces: Piece[] }>();
  const batches: QueryBatch[] = [];
  for (const [query, { rows, columns, depth }] of queries.entries()) {
    const width = columns.index.length;
    const total = rows.index.length;
    if (width === 0 || total === 0) continue;
    const betweenRows = rows.fraction.some((f) => f !== 0);
    const betweenColumns = columns.fraction.some((f) => f !== 0);
    const step = Math.max(1, Math.floor(maxPixels / width));
    for (let firstRow = 0; firstRow < total; firstRow += step) {
      const height = Math.min(step, total - firstRow);
      const key = [height, width, depth, betweenRows, betweenColumns].join();
      let batch = open.get(key);
      if (batch === undefined || (batch.pieces.length + 1) * height * width > maxPixels) {
        batch = { pieces: [], height, width, depth, betweenRows, betweenColumns };
        open.set(key, batch);
        batches.push(batch);
      }
      batch.pieces.push({ query, firstRow });
    }
  }
  return batches;
}

/** Positions of a batch of B pieces, n rows and m columns each, as they go to the device. */
export interface BatchPositions {
  /** (B,n) for the sites above and below a pixel: first site of that row in the window. */
  readonly rows: readonly [Int32Array, Int32Array];
  /** (B,m) for the sites left and right: column in the window. */
  readonly columns: readonly [Int32Array, Int32Array];
  /** (B,n) and (B,m), Q14. */
  readonly rowFractions: Float32Array;
  readonly columnFractions: Float32Array;
  /** (B), sites, Q12. */
  readonly rowCells: Float32Array;
  readonly columnCells: Float32Array;
}

/**
 * Sites outside the level are replaced by the nearest inside (spec 4.3). Throws RequestError for a site that
 * the window lacks.
 */
export function batchPositions(
  batch: QueryBatch,
  queries: readonly Query[],
  rect: Rect,
  level: Extent,
): BatchPositions {
  const { pieces, height, width } = batch;
  const rows = [0, 1].map(() => new Int32Array(pieces.length * height)) as [Int32Array, Int32Array];
  const columns = [0, 1].map(() => new Int32Array(pieces.length * width)) as [Int32Array, Int32Array];
  const rowFractions = new Float32Array(pieces.length * height);
  const columnFractions = new Float32Array(pieces.length * width);
  for (const [b, { query, firstRow }] of pieces.entries()) {
    const { rows: rowAxis, columns: columnAxis } = queries[query]!;
    for (const d of [0, 1] as const) {
      const rowSpan = { first: rect.top, count: rect.height, sites: level.height, scale: rect.width };
      placeSites(rows[d], b * height, rowAxis, firstRow, height, d, rowSpan);
      const columnSpan = { first: rect.left, count: rect.width, sites: level.width, scale: 1 };
      placeSites(columns[d], b * width, columnAxis, 0, width, d, columnSpan);
    }
    rowFractions.set(rowAxis.fraction.subarray(firstRow, firstRow + height), b * height);
    columnFractions.set(columnAxis.fraction, b * width);
  }
  const cells = (axis: 'rows' | 'columns') =>
    Float32Array.from(pieces, ({ query }) => queries[query]![axis].cell);
  return {
    rows,
    columns,
    rowFractions,
    columnFractions,
    rowCells: cells('rows'),
    columnCells: cells('columns'),
  };
}

interface Span {
  /** First site and number of sites of the window along this axis. */
  readonly first: number;
  readonly count: number;
  /** Sites of the level. */
  readonly sites: number;
  readonly scale: number;
}

function placeSites(
  out: Int32Array,
  at: number,
  axis: Axis,
  from: number,
  count: number,
  offset: 0 | 1,
  span: Span,
): void {
  for (let i = 0; i < count; i++) {
    const fraction = axis.fraction[from + i]!;
    // Without a fraction the further site weighs nothing; windows need not hold it.
    const wanted = fraction === 0 ? axis.index[from + i]! : axis.index[from + i]! + offset;
    const site = Math.max(0, Math.min(span.sites - 1, wanted)) - span.first;
    if (!(site >= 0 && site < span.count))
      throw new RequestError(
        `Expected sites ${span.first} .. ${span.first + span.count - 1} but received ${site + span.first}`,
      );
    out[at + i] = site * span.scale;
  }
}
