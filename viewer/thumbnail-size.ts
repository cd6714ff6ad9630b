/** Pixels on the longer side that small images are asked for with: few, so that caches have them. */
const SIDES = [320, 640, 1280] as const;
/** Enlarged by no more than this they still look sharp. */
const MAX_ENLARGEMENT = 1.25;

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The longer side of a small image that fills a box, in CSS pixels, on a screen with `ratio` pixels for each; never more than the picture has. */
export function thumbnailSide({ width, height }: Size, box: Size, ratio: number): number {
  const longer = Math.max(width, height);
  const wanted = longer * Math.max(box.width / width, box.height / height) * ratio;
  return Math.min(longer, SIDES.find((side) => side * MAX_ENLARGEMENT >= wanted) ?? SIDES[2]);
}

/** The address that the server gives of a small image, with another longer side. */
export function thumbnailAddress(address: string, side: number): string {
  return address.replace(/\/full\/!\d+,\d+\//, `/full/!${side},${side}/`);
}
