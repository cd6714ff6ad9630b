/**
 * A small SVG plot of rate-distortion curves: neutral on light and dark pages, each curve named at its end.
 */

export interface PlotCurve {
  readonly name: string;
  readonly color: string;
  readonly width?: number;
  readonly dash?: string;
  /** Sorted by x. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface PlotOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Curves are cut at this x. */
  readonly xMax: number;
  /** Label of a value on the y axis. */
  readonly yText?: (y: number) => string;
}

const WIDTH = 760;
const HEIGHT = 460;
const AREA = { left: 64, right: 168, top: 46, bottom: 54 };
const INK = '#7d7d7d';
const LABEL_GAP = 16;

export function plotSvg(curves: readonly PlotCurve[], options: PlotOptions): string {
  const { xMax, yText = String } = options;
  const visible = curves.map((curve) => ({ ...curve, points: cutAt(curve.points, xMax) }));
  const ys = visible.flatMap(({ points }) => points.map(({ y }) => y));
  const yTicks = ticks(Math.min(...ys), Math.max(...ys), 10);
  const xTicks = ticks(0, xMax, 8).filter((x) => x <= xMax);
  const yMin = yTicks[0]!;
  const yMax = yTicks.at(-1)!;
  const right = WIDTH - AREA.right;
  const bottom = HEIGHT - AREA.bottom;
  const px = (x: number) => AREA.left + (x / xMax) * (right - AREA.left);
  const py = (y: number) => bottom - ((y - yMin) / (yMax - yMin)) * (bottom - AREA.top);
  const out: string[] = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escaped(options.title)}" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif">`,
    text(AREA.left, 24, options.title, 'font-size="16" font-weight="600"'),
  ];
  for (const y of yTicks) {
    out.push(line(AREA.left, py(y), right, py(y), 'stroke-opacity="0.25"'));
    out.push(text(AREA.left - 9, py(y) + 4, yText(y), 'font-size="12" text-anchor="end"'));
  }
  for (const x of xTicks) {
    out.push(line(px(x), bottom, px(x), bottom + 5));
    out.push(text(px(x), bottom + 20, tickText(x, xTicks), 'font-size="12" text-anchor="middle"'));
  }
  out.push(line(AREA.left, bottom, right, bottom));
  out.push(
    text((AREA.left + right) / 2, HEIGHT - 12, options.xLabel, 'font-size="13" text-anchor="middle"'),
    `<text transform="translate(17 ${(AREA.top + bottom) / 2}) rotate(-90)" fill="${INK}" font-size="13" text-anchor="middle">${escaped(options.yLabel)}</text>`,
  );
  for (const { points, color, width = 2, dash } of visible) {
    const path = points
      .map(({ x, y }, i) => `${i ? 'L' : 'M'}${px(x).toFixed(1)} ${py(y).toFixed(1)}`)
      .join('');
    out.push(
      `<path d="${path}" fill="none" stroke="${color}" stroke-width="${width}" stroke-linejoin="round" stroke-linecap="round"${dash ? ` stroke-dasharray="${dash}"` : ''}/>`,
    );
  }
  // Names at the ends of the lines, pushed apart where lines end close to each other.
  const labels = visible
    .filter(({ points }) => points.length > 0)
    .map(({ name, color, points }) => {
      const end = points.at(-1)!;
      return { name, color, x: px(end.x), y: py(end.y), at: py(end.y) };
    })
    .sort((a, b) => a.y - b.y);
  for (let i = 1; i < labels.length; i++)
    labels[i]!.at = Math.max(labels[i]!.at, labels[i - 1]!.at + LABEL_GAP);
  for (let i = labels.length - 1, limit = bottom; i >= 0; i--, limit -= LABEL_GAP)
    labels[i]!.at = Math.min(labels[i]!.at, limit);
  for (const { name, color, x, y, at } of labels) {
    out.push(
      `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3" fill="${color}"/>`,
      `<path d="M${(x + 4).toFixed(1)} ${y.toFixed(1)}L${right + 10} ${at.toFixed(1)}" stroke="${color}" stroke-opacity="0.5" fill="none"/>`,
      `<text x="${right + 14}" y="${(at + 4).toFixed(1)}" fill="${color}" font-size="13" font-weight="600">${escaped(name)}</text>`,
    );
  }
  out.push('</svg>');
  return `${out.join('\n')}\n`;
}

/** The points up to x = limit, the last one interpolated. */
function cutAt(points: PlotCurve['points'], limit: number): { x: number; y: number }[] {
  const kept: { x: number; y: number }[] = [];
  for (const point of points) {
    if (point.x <= limit) {
      kept.push({ ...point });
      continue;
    }
    const last = kept.at(-1);
    if (last) {
      const share = (limit - last.x) / (point.x - last.x);
      kept.push({ x: limit, y: last.y + share * (point.y - last.y) });
    }
    break;
  }
  return kept;
}

/** Round numbers from at or below `low` to at or above `high`, about `count` of them. */
function ticks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function tickText(value: number, all: readonly number[]): string {
  const digits = Math.max(...all.map((tick) => String(tick).split('.')[1]?.length ?? 0));
  return value.toFixed(digits);
}

function line(x1: number, y1: number, x2: number, y2: number, more = ''): string {
  return `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${INK}" ${more}/>`;
}

function text(x: number, y: number, value: string, more: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${INK}" ${more}>${escaped(value)}</text>`;
}

function escaped(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
