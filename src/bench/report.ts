import type { EngineFigures } from './engine-bench.ts';
import type { ServerFigures } from './server-bench.ts';

/** Figures of one engine, or why there are none. */
export type EngineResult =
  | (EngineFigures & { readonly server?: ServerFigures; readonly serverProblem?: string })
  | { readonly engine: string; readonly problem: string };

/** A table of figures as rows and engines as columns, then a line for each problem. */
export function benchTable(results: readonly EngineResult[]): string[] {
  const measured = results.filter((result) => 'features' in result);
  const rows: string[][] = [];
  const row = (title: string, cell: (figures: (typeof measured)[number]) => string | undefined) => {
    const cells = measured.map((figures) => cell(figures) ?? '-');
    if (cells.some((text) => text !== '-')) rows.push([title, ...cells]);
  };
  row('', ({ engine }) => engine);
  row('computes on', ({ device, threads }) => device ?? `${threads} ${threads === 1 ? 'thread' : 'threads'}`);
  row('exact', ({ exact }) => (exact ? 'yes' : 'no'));
  row('plain dense kernel, GMAC/s', ({ plain }) => figure(plain.gigaMacs));
  row('plain copy, GB/s', ({ plain }) => figure(plain.copyGigabytes));
  row('features, megapixels/s', ({ features }) => figure(features.megapixels));
  row('  arithmetic, GMAC/s', ({ features }) => figure(features.gigaMacs));
  row('  share of the plain kernel', ({ features }) => percent(features.share));
  for (const { scale, batch } of longestTiles(measured)) {
    const of = ({ tiles }: EngineFigures) => tiles.find((one) => one.scale === scale && one.batch === batch);
    const many = `${batch} a call`;
    row(`tiles/s, ${scale === 1 ? 'native scale' : `scale ${scale}`}, ${many}`, (figures) => {
      const tiles = of(figures);
      return tiles && figure(tiles.tiles);
    });
  }
  row('  best: share of the plain copy', ({ tiles }) =>
    percent(Math.max(...tiles.map(({ share }) => share))),
  );
  row('entropy decoding, megapixels/s', ({ entropy }) => entropy && figure(entropy.decodeMegapixels));
  row('entropy encoding, megapixels/s', ({ entropy }) => entropy && figure(entropy.encodeMegapixels));
  row('picture, pixels', ({ picture }) => `${picture.width} x ${picture.height}`);
  row('  encode, s', ({ picture }) => figure(picture.encodeSeconds));
  row('  decode, s', ({ picture }) => figure(picture.decodeSeconds));
  for (const [i, scale] of [1, 4].entries())
    row(`server, JPEG tiles/s, scale ${scale}`, ({ server }) => server && figure(server.runs[i]!.tiles));

  const lines = aligned(rows);
  for (const result of results) {
    if ('problem' in result) lines.push(`${result.engine}: ${result.problem}`);
    else if (result.serverProblem) lines.push(`${result.engine}: ${result.serverProblem}`);
  }
  return lines;
}

/** The scales and batches that any engine was measured with. */
function longestTiles(results: readonly EngineFigures[]): EngineFigures['tiles'] {
  return [1, 2].flatMap((scale) =>
    results
      .map(({ tiles }) => tiles.filter((one) => one.scale === scale))
      .reduce((a, b) => (b.length > a.length ? b : a), []),
  );
}

/** Rows as lines, the first column aligned left, the others right. */
function aligned(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}

/** A number with two or three digits, large ones in full. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toPrecision(2);
}

/** `toPrecision` would write 100 and more in powers of ten. */
const percent = (share: number) =>
  `${share < 0.995 ? (100 * share).toPrecision(2) : (100 * share).toFixed(0)} %`;
