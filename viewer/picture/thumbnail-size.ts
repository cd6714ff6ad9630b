import type { ImageInfo } from './api.ts';

/** Longer sides of small images in pixels. Few sizes, so that caches have them. */
const SIDES = [320, 640, 1280] as const;
/** Small images still look sharp when enlarged by this much. */
const MAX_ENLARGEMENT = 1.25;
/**
 * Overviews may be enlarged by more, since the next larger level has up to sixteen times as many pixels to
 * decode.
 */
const MAX_OVERVIEW_ENLARGEMENT = 1.6;

/** Bounds of the longer side of an overview that lies beneath tiles while these come. */
const SHORTEST_OVERVIEW = 256;
const LONGEST_OVERVIEW = 1536;

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The size of a picture and of its levels. */
export type Sized = Pick<ImageInfo, 'width' | 'height' | 'levels' | 'overviewFactor'>;

/**
 * The longer side, in pixels, of a small image for a box in CSS pixels on a screen of `ratio`; never more
 * than the picture has.
 */
export function thumbnailSide(picture: Sized, box: Size, ratio: number): number {
  const { width, height } = picture;
  const longer = Math.max(width, height);
  const wanted = longer * Math.max(box.width / width, box.height / height) * ratio;
  const side = Math.min(longer, SIDES.find((side) => side * MAX_ENLARGEMENT >= wanted) ?? SIDES[2]);
  const overview = largestOverview(picture, side);
  return overview * MAX_OVERVIEW_ENLARGEMENT >= wanted ? overview : side;
}

/**
 * The address of a small image that comes soon, whatever the size of the picture: an overview, or else the
 * server's thumbnail.
 */
export function overviewAddress(picture: Sized & Pick<ImageInfo, 'thumbnail'>): string {
  const side = largestOverview(picture, LONGEST_OVERVIEW);
  return side >= SHORTEST_OVERVIEW ? thumbnailAddress(picture.thumbnail, side) : picture.thumbnail;
}

/** How many times smaller than the picture its overview is; 1 where it has none. */
export function overviewReduction(picture: Sized): number {
  const longer = Math.max(picture.width, picture.height);
  const reduction = reductionWithin(picture, LONGEST_OVERVIEW);
  return longer / reduction >= SHORTEST_OVERVIEW ? reduction : 1;
}

/**
 * The reduction of the largest overview whose longer side does not exceed `limit`; infinite if there is none.
 */
function reductionWithin({ width, height, levels = 1, overviewFactor = 1 }: Sized, limit: number): number {
  for (let level = 1; level < levels; level++) {
    const reduction = overviewFactor ** level;
    if (Math.floor(Math.max(width, height) / reduction) <= limit) return reduction;
  }
  return Number.POSITIVE_INFINITY;
}

/** The longer side of the largest overview that does not exceed `limit`; 0 if there is none. */
function largestOverview(picture: Sized, limit: number): number {
  const longer = Math.max(picture.width, picture.height);
  const shorter = Math.min(picture.width, picture.height);
  const reduction = reductionWithin(picture, limit);
  let side = Math.floor(longer / reduction);
  // Servers round the shorter side: if it came out larger than that of the overview, this would not do.
  while (side > 0 && Math.round((shorter * side) / longer) * reduction > shorter) side--;
  return side;
}

/** The server's address of a small image, with another longer side. */
export function thumbnailAddress(address: string, side: number): string {
  return address.replace(/\/full\/!\d+,\d+\//, `/full/!${side},${side}/`);
}
