/** Zooms from 1 on. The first five have features of their own; tiles of the others are enlargements. */
const ZOOMS = 7;
const FORMATS = ['jpg', 'jpg', 'webp', 'png'];

/** A random tile of a random zoom, 1 to 7. `random` gives numbers from 0 to 1. */
export function tilePath(random: () => number): string {
  const z = 1 + Math.floor(random() * ZOOMS);
  const side = 2 ** z;
  const format = FORMATS[Math.floor(random() * FORMATS.length)];
  return `/mosaic/${z}/${Math.floor(random() * side)}/${Math.floor(random() * side)}.${format}`;
}

/** A random request: nine of ten are tiles, the others large regions, missing pictures and descriptions. */
export function loadPath(random: () => number): { readonly path: string; readonly tile: boolean } {
  const kind = random();
  if (kind < 0.9) return { path: tilePath(random), tile: true };
  if (kind < 0.94) {
    const side = 1000 + Math.floor(random() * 3000);
    return { path: `/iiif/3/mosaic/full/!${side},${side}/0/default.jpg`, tile: false };
  }
  if (kind < 0.96) return { path: '/iiif/3/mosaic/0,0,512,512/^20000,20000/0/default.png', tile: false };
  if (kind < 0.98) return { path: `/nothing${Math.floor(random() * 1000)}/0/0/0.png`, tile: false };
  return { path: '/iiif/3/mosaic/info.json', tile: false };
}
