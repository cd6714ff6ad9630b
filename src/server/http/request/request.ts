import { parseDecimal, type Rational } from '../../../head/rational.ts';
import { MAX_ID_LENGTH, type PictureId } from '../../pictures/picture-id.ts';
import { badRequest, notFound, Problem } from '../../problem.ts';
import {
  type IiifParameters,
  type IiifVersion,
  parseIiifParameters,
} from '../../protocols/iiif-parameters.ts';
import type { ImageFormat } from '../../protocols/image-format.ts';
import { wholeNumber } from '../../protocols/numbers.ts';
import type { PixelRatio, TileAddress } from '../../protocols/xyz.ts';

// This file and protocols/iiif-parameters.ts parse and bound all that clients write in addresses; nothing
// else does.

export type ServerRequest =
  | { readonly kind: 'images'; readonly part: string; readonly offset: number; readonly limit: number }
  | { readonly kind: 'image'; readonly id: PictureId }
  | { readonly kind: 'job'; readonly job: string }
  | { readonly kind: 'health' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'metrics' }
  | { readonly kind: 'openapi' }
  | ({
      readonly kind: 'tile';
      readonly id: PictureId;
      readonly version: string | undefined;
    } & TileAddress)
  | { readonly kind: 'tilejson'; readonly id: PictureId; readonly format: ImageFormat | undefined }
  | { readonly kind: 'file'; readonly id: PictureId; readonly version: string | undefined }
  | {
      readonly kind: 'pixel';
      readonly id: PictureId;
      readonly x: Rational;
      readonly y: Rational;
      /** The coordinates as they were written. */
      readonly written: { readonly x: string; readonly y: string };
    }
  | { readonly kind: 'iiif-base'; readonly iiif: IiifVersion; readonly id: PictureId; readonly path: string }
  | { readonly kind: 'iiif-info'; readonly iiif: IiifVersion; readonly id: PictureId; readonly path: string }
  | { readonly kind: 'iiif-manifest'; readonly id: PictureId; readonly path: string }
  | ({
      readonly kind: 'iiif-image';
      readonly iiif: IiifVersion;
      readonly id: PictureId;
      readonly path: string;
      readonly version: string | undefined;
    } & IiifParameters)
  | { readonly kind: 'dzi'; readonly id: PictureId; readonly format: ImageFormat | undefined }
  | {
      readonly kind: 'dzi-tile';
      readonly id: PictureId;
      readonly level: number;
      readonly column: number;
      readonly row: number;
      readonly format: ImageFormat;
      readonly version: string | undefined;
    };

/** Room for any id, escaped, and for the longest tile; Node takes 16 KiB with all headers. */
const MAX_URL_LENGTH = 12_288;
export const MAX_ZOOM = 1024;
/** Characters of the longest factor: `@1048576x`. */
const MAX_FACTOR_LENGTH = 9;
const MAX_SEGMENT_LENGTH = 255;
/** Digits of a tile's column or row: 2^1024 has 309. */
const MAX_TILE_DIGITS = 310;
const MAX_CANVAS_FACTOR = 2 ** 20;
const MAX_LISTED = 1000;
/**
 * Bytes of an uploaded picture's name. File systems allow 255; the ending `.liif` and a number such as `-2`
 * need some of them.
 */
const MAX_NAME_BYTES = 200;
/** Characters of the name that an upload comes with, its endings included. */
const MAX_GIVEN_NAME = 255;

/**
 * What a URL asks for. `url` is raw: path as sent, `?` and query. Throws Problem: 400 where it is malformed,
 * 404 where no route has this shape, 414 where it is too long. Parts of ids may be separated by `%2F` or by
 * `/`: some proxies decode one into the other.
 */
export function parseRequest(url: string): ServerRequest {
  const { path, query } = splitUrl(url);
  const parts = path.replace(/^\//, '').split('/');
  const [first, second] = parts;
  if (parts.length === 1 || (parts.length === 2 && second === '')) {
    if (first === 'health' || first === 'ready' || first === 'metrics') return { kind: first };
    if (first === 'openapi.json') return { kind: 'openapi' };
    throw notFound();
  }
  if (first === 'api') return parseApi(parts.slice(1), query);
  if (first === 'iiif') {
    if (second !== '2' && second !== '3') throw notFound('The versions of IIIF served here are 2 and 3.');
    return parseIiif(second === '2' ? 2 : 3, parts.slice(2), query);
  }
  if (first === 'dzi') return parseDzi(parts.slice(1), query);
  const last = parts.at(-1)!;
  const version = parseVersion(query);
  if (last === 'tilejson.json')
    return { kind: 'tilejson', id: parseId(parts.slice(0, -1)), format: optionalFormat(query) };
  if (last === 'file') return { kind: 'file', id: parseId(parts.slice(0, -1)), version };
  if (last === 'pixel') {
    const written = { x: query.get('x') ?? '', y: query.get('y') ?? '' };
    const id = parseId(parts.slice(0, -1));
    return {
      kind: 'pixel',
      id,
      x: parseCoordinate(written.x, 'x'),
      y: parseCoordinate(written.y, 'y'),
      written,
    };
  }
  if (parts.length >= 4) return parseTile(parts, query);
  throw notFound();
}

function splitUrl(url: string): { readonly path: string; readonly query: URLSearchParams } {
  if (url.length > MAX_URL_LENGTH)
    throw new Problem(414, 'url-too-long', `URLs are at most ${MAX_URL_LENGTH} characters long.`);
  const mark = url.indexOf('?');
  if (mark < 0) return { path: url, query: new URLSearchParams() };
  return { path: url.slice(0, mark), query: new URLSearchParams(url.slice(mark + 1)) };
}

function parseApi(parts: readonly string[], query: URLSearchParams): ServerRequest {
  if (parts[0] === 'images') {
    if (parts.length === 1 || (parts.length === 2 && parts[1] === ''))
      return {
        kind: 'images',
        part: query.get('q') ?? '',
        offset: parseCount(query.get('offset'), 'offset', 0, Number.MAX_SAFE_INTEGER) ?? 0,
        limit: parseCount(query.get('limit'), 'limit', 1, MAX_LISTED) ?? MAX_LISTED,
      };
    return { kind: 'image', id: parseId(parts.slice(1)) };
  }
  if (parts[0] === 'jobs' && parts.length === 2 && /^[0-9a-f-]{36}$/.test(parts[1]!))
    return { kind: 'job', job: parts[1]! };
  throw notFound();
}

function parseTile(parts: readonly string[], query: URLSearchParams): ServerRequest {
  const [zText, xText, file] = parts.slice(-3) as [string, string, string];
  const match = /^(\d+)(?:@([1-9])x)?\.([a-z]{3,4})$/.exec(file);
  if (!/^\d+$/.test(zText) || !/^\d+$/.test(xText) || match === null) {
    // Something close to a tile's address is told what is wrong with it.
    if (/^-?[\d.]+(e[+-]?\d+)?$/i.test(zText) || /^-?\d/.test(file))
      throw badRequest('invalid-tile', 'Tiles are addressed as z/x/y.format with whole numbers.');
    throw notFound();
  }
  const [, yText, ratio = '1', extension] = match;
  const id = parseId(parts.slice(0, -3));
  if (!/^[1-4]$/.test(ratio)) throw badRequest('invalid-pixel-ratio', 'Tiles come at @1x, @2x, @3x and @4x.');
  const z = zText.length > 4 ? Number.POSITIVE_INFINITY : Number(zText);
  if (z > MAX_ZOOM) throw badRequest('invalid-zoom', `Zoom levels go from 0 to ${MAX_ZOOM}.`);
  const method = query.get('method') ?? 'decode';
  if (method !== 'decode' && method !== 'bicubic')
    throw badRequest('invalid-method', 'The methods are decode and bicubic.');
  return {
    kind: 'tile',
    id,
    z,
    x: parseIndex(xText),
    y: parseIndex(yText!),
    pixelRatio: Number(ratio) as PixelRatio,
    format: parseTileFormat(extension!),
    method,
    version: parseVersion(query),
  };
}

function parseIndex(text: string): bigint {
  if (text.length > MAX_TILE_DIGITS)
    throw badRequest('invalid-tile', `Columns and rows have at most ${MAX_TILE_DIGITS} digits.`);
  if (text.length > 1 && text.startsWith('0'))
    throw badRequest('invalid-tile', 'Columns and rows are written without leading zeros.');
  return BigInt(text);
}

function parseTileFormat(text: string): ImageFormat {
  if (text === 'jpeg') return 'jpg';
  if (text === 'png' || text === 'jpg' || text === 'webp' || text === 'avif') return text;
  throw badRequest('invalid-format', 'Tiles come as png, jpg, webp and avif.');
}

function optionalFormat(query: URLSearchParams): ImageFormat | undefined {
  const format = query.get('format');
  return format === null ? undefined : parseTileFormat(format);
}

function parseDzi(parts: readonly string[], query: URLSearchParams): ServerRequest {
  const last = parts.at(-1)!;
  if (last.endsWith('.dzi'))
    return {
      kind: 'dzi',
      id: parseId([...parts.slice(0, -1), last.slice(0, -4)]),
      format: optionalFormat(query),
    };
  // The largest virtual canvas, of 2^44 pixels a side, has some 7 * 10^10 columns.
  const tile = /^(\d{1,11})_(\d{1,11})\.([a-z]{3,4})$/.exec(last);
  const level = parts.at(-2) ?? '';
  const folder = parts.at(-3) ?? '';
  if (folder.endsWith('_files')) {
    if (tile === null || !/^\d{1,3}$/.test(level))
      throw badRequest('invalid-tile', 'Tiles are addressed as level/column_row.format with whole numbers.');
    return {
      kind: 'dzi-tile',
      id: parseId([...parts.slice(0, -3), folder.slice(0, -'_files'.length)]),
      level: Number(level),
      column: Number(tile[1]),
      row: Number(tile[2]),
      format: parseTileFormat(tile[3]!),
      version: parseVersion(query),
    };
  }
  throw notFound();
}

function parseIiif(iiif: IiifVersion, parts: readonly string[], query: URLSearchParams): ServerRequest {
  const last = parts.at(-1);
  if (last === undefined) throw notFound();
  // Alone, either name is the id of a picture.
  if (parts.length > 1) {
    const idParts = parts.slice(0, -1);
    const path = idParts.join('/');
    if (last === 'info.json') return { kind: 'iiif-info', iiif, id: parseId(idParts), path };
    if (last === 'manifest.json' && iiif === 3) return { kind: 'iiif-manifest', id: parseId(idParts), path };
  }
  const dot = last.lastIndexOf('.');
  // Five parts are an image request; fewer are the base of a picture (an id with literal slashes needs its
  // slashes encoded here).
  if (parts.length >= 5) {
    const idParts = parts.slice(0, -4);
    const [region, size, rotation] = parts.slice(-4, -1).map(decodePart) as [string, string, string];
    return {
      kind: 'iiif-image',
      iiif,
      id: parseId(idParts),
      path: idParts.join('/'),
      version: parseVersion(query),
      ...parseIiifParameters(iiif, {
        region,
        size,
        rotation,
        quality: decodePart(dot < 0 ? last : last.slice(0, dot)),
        format: decodePart(dot < 0 ? '' : last.slice(dot + 1)),
      }),
    };
  }
  const idParts = last === '' ? parts.slice(0, -1) : parts;
  if (idParts.length === 0) throw notFound();
  return { kind: 'iiif-base', iiif, id: parseId(idParts), path: idParts.join('/') };
}

/** Name and quality of an image that is uploaded. Throws Problem 400, and 414 where the URL is too long. */
export function parseUpload(url: string): { readonly name: string; readonly quality: number | undefined } {
  const { query } = splitUrl(url);
  const given = query.get('name') ?? 'image';
  // The image's endings go, since the picture gets `.liif`. The length is bounded first: the expression takes
  // quadratic time for a long row of endings.
  const name = (given.length > MAX_GIVEN_NAME ? '' : given)
    .replace(/(\.(jpe?g|png|webp|tiff?|gif|avif|heic|heif|liif))+$/i, '')
    .trim();
  // Valid as a file name on every system, and as an id.
  if (
    !/^[\p{L}\p{N}_][\p{L}\p{N}\p{M} ._()+-]{0,99}$/u.test(name) ||
    Buffer.byteLength(name) > MAX_NAME_BYTES
  )
    throw badRequest(
      'invalid-name',
      `A name is up to 100 letters, digits, spaces and ._()+- long, and up to ${MAX_NAME_BYTES} bytes in UTF-8.`,
    );
  return { name, quality: parseCount(query.get('quality'), 'quality', 1, 100) };
}

/** Checks and decodes the parts of a path that name a picture. */
function parseId(parts: readonly string[]): PictureId {
  const name = parts.map(decodePart).join('/');
  if (name.length > MAX_ID_LENGTH + MAX_FACTOR_LENGTH)
    throw badRequest('invalid-id', `Ids are at most ${MAX_ID_LENGTH} characters long.`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\u0000-\u001f\u007f\\]/.test(name))
    throw badRequest('invalid-id', 'The id holds characters that no id has.');
  if (!/^(https?|s3):\/\//.test(name)) {
    for (const segment of name.split('/')) {
      if (segment === '' || segment.startsWith('.'))
        throw badRequest('invalid-id', 'The parts of an id are not empty and do not begin with a dot.');
      if (segment.length > MAX_SEGMENT_LENGTH)
        throw badRequest(
          'invalid-id',
          `The parts of an id are at most ${MAX_SEGMENT_LENGTH} characters long.`,
        );
    }
  }
  const canvas = /^(.+)@([1-9]\d{0,6})x$/.exec(name);
  if (canvas === null) return { name };
  const factor = Number(canvas[2]);
  return factor > MAX_CANVAS_FACTOR ? { name } : { name, canvas: { name: canvas[1]!, factor } };
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw badRequest('invalid-encoding', 'The address is not percent-encoded UTF-8.');
  }
}

function parseVersion(query: URLSearchParams): string | undefined {
  const version = query.get('v');
  if (version === null) return undefined;
  return /^[0-9a-zA-Z_-]{1,64}$/.test(version) ? version : '';
}

/** A coordinate in pixels. */
function parseCoordinate(text: string, name: string): Rational {
  const value = parseDecimal(text);
  if (!value) throw badRequest('invalid-coordinate', `Expected ${name} as a decimal number of pixels.`);
  return value;
}

function parseCount(text: string | null, name: string, low: number, high: number): number | undefined {
  if (text === null) return undefined;
  const value = wholeNumber(text);
  if (value === undefined || value < low || value > high)
    throw badRequest('invalid-query', `Expected ${name} as a whole number from ${low} to ${high}.`);
  return value;
}
