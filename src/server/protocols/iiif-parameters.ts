import type { Rational } from '../../head/rational.ts';
import { badRequest, type Problem } from '../problem.ts';
import type { ImageFormat } from './image-format.ts';
import { decimal, wholeNumber } from './numbers.ts';

// Region, size, rotation, quality and format of the IIIF Image API, sections 4.1 to 4.5.

export type IiifVersion = 2 | 3;

export type IiifRegion =
  | { readonly kind: 'full' }
  | { readonly kind: 'square' }
  | {
      readonly kind: 'pixels';
      readonly x: number;
      readonly y: number;
      readonly width: number;
      readonly height: number;
    }
  | {
      readonly kind: 'percent';
      readonly x: Rational;
      readonly y: Rational;
      readonly width: Rational;
      readonly height: Rational;
    };

/** `upscale`: the `^` of version 3; always true in version 2, which allows enlargement without a mark. */
export type IiifSize = { readonly upscale: boolean } & (
  | { readonly kind: 'max' }
  | { readonly kind: 'percent'; readonly percent: Rational }
  | {
      readonly kind: 'pixels';
      readonly width: number | undefined;
      readonly height: number | undefined;
      readonly fit: boolean;
    }
);

export interface IiifParameters {
  readonly region: IiifRegion;
  readonly size: IiifSize;
  readonly mirror: boolean;
  /** Degrees clockwise, 0 <= rotation < 360. */
  readonly rotation: number;
  /** `color` is the default. */
  readonly quality: 'default' | 'gray' | 'bitonal';
  readonly format: ImageFormat;
}

type Four<T> = [T, T, T, T];

/** The last five parts of an IIIF image request, decoded, as clients write them. */
export interface IiifTexts {
  readonly region: string;
  readonly size: string;
  readonly rotation: string;
  readonly quality: string;
  readonly format: string;
}

/** Throws Problem 400. */
export function parseIiifParameters(
  iiif: IiifVersion,
  { region, size, rotation, quality, format }: IiifTexts,
): IiifParameters {
  const turned = /^(!?)(\d{1,3}(?:\.\d{1,10})?|\.\d{1,10})$/.exec(rotation);
  const degrees = Number(turned?.[2]);
  if (turned === null || degrees > 360)
    throw badRequest(
      'invalid-rotation',
      'A rotation is a number from 0 to 360, with ! before it to mirror first.',
    );
  if (quality !== 'default' && quality !== 'color' && quality !== 'gray' && quality !== 'bitonal')
    throw badRequest('invalid-quality', 'The qualities are default, color, gray and bitonal.');
  return {
    region: parseIiifRegion(region),
    size: parseIiifSize(iiif, size),
    mirror: turned[1] === '!',
    rotation: degrees % 360,
    quality: quality === 'color' ? 'default' : quality,
    format: parseIiifFormat(format),
  };
}

function parseIiifFormat(text: string): ImageFormat {
  if (['jpg', 'png', 'webp', 'avif', 'tif', 'gif'].includes(text)) return text as ImageFormat;
  throw badRequest('invalid-format', 'The formats are jpg, png, webp, avif, tif and gif.');
}

function parseIiifRegion(text: string): IiifRegion {
  if (text === 'full' || text === 'square') return { kind: text };
  const percent = text.startsWith('pct:');
  const numbers = (percent ? text.slice(4) : text).split(',');
  const fault = () =>
    badRequest('invalid-region', 'A region is full, square, x,y,w,h in pixels, or pct:x,y,w,h.');
  if (numbers.length !== 4) throw fault();
  if (percent) {
    const [x, y, width, height] = numbers.map(
      (number) => decimal(number) ?? raise(fault()),
    ) as Four<Rational>;
    return { kind: 'percent', x, y, width, height };
  }
  const [x, y, width, height] = numbers.map(
    (number) => wholeNumber(number) ?? raise(fault()),
  ) as Four<number>;
  if (width === 0 || height === 0)
    throw badRequest('invalid-region', 'The width and height of a region are at least 1.');
  return { kind: 'pixels', x, y, width, height };
}

function parseIiifSize(iiif: IiifVersion, text: string): IiifSize {
  const upscale = iiif === 2 || text.startsWith('^');
  const rest = iiif === 3 && text.startsWith('^') ? text.slice(1) : text;
  const fault = () =>
    badRequest(
      'invalid-size',
      iiif === 3
        ? 'A size is max, w, or ,h or w,h or !w,h in pixels, or pct:n, with ^ before it to enlarge.'
        : 'A size is max, full, w, or ,h or w,h or !w,h in pixels, or pct:n.',
    );
  if (rest === 'max' || (rest === 'full' && iiif === 2))
    // `max` of version 2 does not enlarge
    return { kind: 'max', upscale: iiif === 3 && upscale };
  if (rest.startsWith('pct:')) {
    const percent = decimal(rest.slice(4)) ?? raise(fault());
    if (percent.numerator === 0n) throw badRequest('invalid-size', 'The size is 0 %.');
    return { kind: 'percent', percent, upscale };
  }
  const match = /^(!?)(\d*),(\d*)$/.exec(rest);
  if (match === null) throw fault();
  const width = match[2] === '' ? undefined : (wholeNumber(match[2]!) ?? raise(fault()));
  const height = match[3] === '' ? undefined : (wholeNumber(match[3]!) ?? raise(fault()));
  const fit = match[1] === '!';
  if ((width === undefined && height === undefined) || (fit && (width === undefined || height === undefined)))
    throw fault();
  if (width === 0 || height === 0) throw badRequest('invalid-size', 'Width and height are at least 1.');
  return { kind: 'pixels', width, height, fit, upscale };
}

function raise(problem: Problem): never {
  throw problem;
}
