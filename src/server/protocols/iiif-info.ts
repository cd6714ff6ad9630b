import { type Canvas, canvasSize } from './canvas.ts';
import { boundsOf, type OutputLimits, shrunk, within } from './iiif.ts';
import type { IiifVersion } from './iiif-parameters.ts';
import type { Size } from './rendering.ts';

const IIIF_TILE_SIZE = 512;
const profileOf = (iiif: IiifVersion) => `http://iiif.io/api/image/${iiif}/level2.json`;
const contextOf = (iiif: IiifVersion) => `http://iiif.io/api/image/${iiif}/context.json`;

/** What descriptions depend on beside the size of the picture. */
export interface Offer {
  /** Whether the picture has an alpha channel. */
  readonly alpha?: boolean;
  /** Whether the server gives the whole picture at a size. */
  served?(size: Size): boolean;
}

/** A document of linked data. */
export type IiifDocument = { readonly '@context': string } & Readonly<Record<string, unknown>>;

/** Powers of two from 1 to the one that brings the whole canvas into a tile. */
function scaleFactorsOf({ width, height }: Size): number[] {
  const factors = [1];
  while (Math.max(width, height) / factors.at(-1)! > IIIF_TILE_SIZE) factors.push(factors.at(-1)! * 2);
  return factors;
}

/** Sizes at which the server gives the whole canvas, reduced by powers of two. The largest is the last. */
export function iiifSizes(size: Size, limits: OutputLimits, served: (size: Size) => boolean): Size[] {
  return scaleFactorsOf(size)
    .map((factor) => ({ width: Math.ceil(size.width / factor), height: Math.ceil(size.height / factor) }))
    .filter((reduced) => within(reduced, limits) && served(reduced))
    .reverse();
}

/** info.json of either version. `id`: the URL of the picture without a slash at its end. */
export function iiifInfo(
  iiif: IiifVersion,
  id: string,
  canvas: Canvas,
  limits: OutputLimits,
  { alpha = false, served = () => true }: Offer = {},
): IiifDocument {
  const size = canvasSize(canvas);
  const sizes = iiifSizes(size, limits, served);
  const tiles = [{ width: IIIF_TILE_SIZE, height: IIIF_TILE_SIZE, scaleFactors: scaleFactorsOf(size) }];
  // A client may ask for the largest image in the first of these formats.
  const asWebp = boundsOf(limits, { format: 'webp', rotation: 0 });
  const common = alpha ? 'png' : 'jpg';
  const preferredFormats = within(shrunk(size, { ...limits, rotation: 0 }), asWebp)
    ? ['webp', common]
    : [common, 'webp'];
  if (iiif === 3)
    return {
      '@context': contextOf(3),
      id,
      type: 'ImageService3',
      protocol: 'http://iiif.io/api/image',
      profile: 'level2',
      width: size.width,
      height: size.height,
      ...limits,
      sizes,
      tiles,
      preferredFormats,
      extraQualities: ['color', 'gray', 'bitonal'],
      extraFormats: ['webp', 'avif', 'tif', 'gif'],
      extraFeatures: [
        'canonicalLinkHeader',
        'mirroring',
        'profileLinkHeader',
        'rotationArbitrary',
        'sizeUpscaling',
      ],
    };
  return {
    '@context': contextOf(2),
    '@id': id,
    protocol: 'http://iiif.io/api/image',
    profile: [
      profileOf(2),
      {
        formats: ['jpg', 'png', 'webp', 'avif', 'tif', 'gif'],
        qualities: ['default', 'color', 'gray', 'bitonal'],
        ...limits,
        supports: [
          'canonicalLinkHeader',
          'mirroring',
          'profileLinkHeader',
          'regionSquare',
          'rotationArbitrary',
          'sizeAboveFull',
        ],
      },
    ],
    width: size.width,
    height: size.height,
    sizes,
    tiles,
  };
}

/**
 * The Link field of an image. Both relations are in one field, because clients look at the first field only.
 */
export function iiifLink(iiif: IiifVersion, canonicalUrl: string): string {
  return `<${canonicalUrl}>;rel="canonical", <${profileOf(iiif)}>;rel="profile"`;
}

/**
 * The Link field of a document that is sent as plain JSON: it says where the terms are explained (Image API
 * 2.1, section 5; JSON-LD, 6.1).
 */
export function iiifContextLink(document: IiifDocument): string {
  return `<${document['@context']}>;rel="http://www.w3.org/ns/json-ld#context";type="application/ld+json"`;
}

/**
 * Content type of a document for an Accept header. Version 2 is plain JSON unless linked data is asked for,
 * later documents the other way round.
 */
export function iiifType(document: IiifDocument, accept = ''): string {
  const context = document['@context'];
  if (context === contextOf(2))
    return accept.includes('application/ld+json') ? 'application/ld+json' : 'application/json';
  return accept.includes('application/json') && !accept.includes('ld+json')
    ? 'application/json'
    : `application/ld+json;profile="${context}"`;
}
