import { digitsFor, formatDecimal, type Position, parseDecimal } from '../layer/position.ts';

/** The view that a link holds: center, zoom, comparison, and who decodes. */
export interface ViewState {
  readonly center: Position;
  readonly zoom: number;
  readonly comparison?: { readonly with: string; readonly at: number };
  readonly decoding?: Decoding;
}

/** Decoding by the browser, in a link. `here` leaves the choice of the engine to the browser. */
export type Decoding = (typeof DECODINGS)[number];

const DECODINGS = ['here', 'webgpu', 'wasm'] as const;

const MAX_ZOOM = 1024;

/** `#x=…&y=…&z=…`, with as many digits as it takes to find the same screen pixel again. */
export function formatHash({ center, zoom, comparison, decoding }: ViewState, nativeZoom: number): string {
  // Two decimals more than needed, so that a view does not drift through links of links.
  const digits = digitsFor(Math.max(0, zoom - nativeZoom)) + 2;
  const parts = [
    `x=${trimmed(formatDecimal(center.x, digits))}`,
    `y=${trimmed(formatDecimal(center.y, digits))}`,
    `z=${Number(zoom.toFixed(6))}`,
  ];
  if (comparison) parts.push(`compare=${comparison.with}`, `at=${Number(comparison.at.toFixed(3))}`);
  if (decoding) parts.push(`decode=${decoding}`);
  return `#${parts.join('&')}`;
}

/** The view that a hash names; undefined where it names none. The hash may come from anywhere. */
export function parseHash(hash: string): ViewState | undefined {
  const query = new URLSearchParams(hash.replace(/^#/, ''));
  const x = parseDecimal(query.get('x') ?? '');
  const y = parseDecimal(query.get('y') ?? '');
  const zoom = Number(query.get('z')?.trim() || Number.NaN);
  const decoding = decodingOf(hash);
  if (x === undefined || y === undefined || !(Math.abs(zoom) <= MAX_ZOOM)) return undefined;
  const compared = query.get('compare');
  const at = Number(query.get('at') ?? 0.5);
  return {
    center: { x, y },
    zoom,
    ...(decoding && { decoding }),
    ...(compared !== null && { comparison: { with: compared, at: at >= 0 && at <= 1 ? at : 0.5 } }),
  };
}

/** The decoding that a hash names, which may stand alone, without a view. */
export function decodingOf(hash: string): Decoding | undefined {
  const wanted = new URLSearchParams(hash.replace(/^#/, '')).get('decode');
  return DECODINGS.find((decoding) => decoding === wanted);
}

function trimmed(decimal: string): string {
  return decimal.includes('.') ? decimal.replace(/\.?0+$/, '') : decimal;
}
