import type { ImageInfo } from './api.ts';

/** Pixels on the longer side that small images are asked for with: few, so that caches have them. */
const SIDES = [320, 640, 1280] as const;
/** Enlarged by no more than this they still look sharp. */
const MAX_ENLARGEMENT = 1.25;
/** An overview may be enlarged by this much: beyond it the level before would have to be decoded, up to sixteen times as many pixels. */
const MAX_OVERVIEW_ENLARGEMENT = 1.6;

/** Longer sides of overviews that are shown beneath tiles while these come. */
const SHORTEST_OVERVIEW = 256;
const LONGEST_OVERVIEW = 1536;

interface Size {
  readonly width: number;
  readonly height: number;
}

/** What is known of a picture. */
export type Sized = Pick<ImageInfo, 'width' | 'height' | 'levels' | 'overviewFactor'>;

/** The longer side of a small image that fills a box, in CSS pixels, on a screen with `ratio` pixels for each; never more than the picture has. */
export function thumbnailSide(picture: Sized, box: Size, ratio: number): number {
  const { width, height } = picture;
  const longer = Math.max(width, height);
  const wanted = longer * Math.max(box.width / width, box.height / height) * ratio;
  const side = Math.min(longer, SIDES.find((side) => side * MAX_ENLARGEMENT >= wanted) ?? SIDES[2]);
  const overview = largestOverview(picture, side);
  return overview * MAX_OVERVIEW_ENLARGEMENT >= wanted ? overview : side;
}

/** The address of a small image that is there soon, whatever the size of the picture: an overview, or the one that the server names. */
export function overviewAddress(picture: Sized & Pick<ImageInfo, 'thumbnail'>): string {
  const side = largestOverview(picture, LONGEST_OVERVIEW);
  return side >= SHORTEST_OVERVIEW ? thumbnailAddress(picture.thumbnail, side) : picture.thumbnail;
}

/** How many times smaller than the picture that overview is; 1: there is none. */
export function overviewReduction(picture: Sized): number {
  const longer = Math.max(picture.width, picture.height);
  const reduction = reductionWithin(picture, LONGEST_OVERVIEW);
  return longer / reduction >= SHORTEST_OVERVIEW ? reduction : 1;
}

/** That of the largest overview whose longer side does not exceed `limit`; infinite if there is none. */
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

/** The address that the server gives of a small image, with another longer side. */
export function thumbnailAddress(address: string, side: number): string {
  return address.replace(/\/full\/!\d+,\d+\//, `/full/!${side},${side}/`);
}
