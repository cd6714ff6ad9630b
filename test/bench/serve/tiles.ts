import { SIDE } from './setup.ts';

export const TILE = 256;
const MAX_ZOOM = Math.log2(SIDE / TILE);
/** A warm-up that takes longer fails. */
const MAX_FILL_MS = 120_000;

export interface Tile {
  readonly z: number;
  readonly x: number;
  readonly y: number;
}

/** Every tile of the pyramid. Three of four are at native scale. */
export const TILES: readonly Tile[] = Array.from({ length: MAX_ZOOM + 1 }, (_, z) =>
  Array.from({ length: 4 ** z }, (_, i) => ({ z, x: i % 2 ** z, y: Math.floor(i / 2 ** z) })),
).flat();

export const tileUrl = ({ z, x, y }: Tile): string => `/mosaic/${z}/${x}/${y}.jpg`;

/**
 * Asks a server for every tile once, so that all features, or all tiles, are cached. Rejects where that takes
 * more than two minutes.
 */
export async function fill(url: string): Promise<void> {
  const begun = performance.now();
  for (const tile of TILES) {
    const answer = await fetch(url + tileUrl(tile));
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`warming up: ${answer.status} for ${tileUrl(tile)}`);
    if (performance.now() - begun > MAX_FILL_MS)
      throw new Error(
        `warming up takes more than ${MAX_FILL_MS / 1000} s: this machine is too slow or too busy`,
      );
  }
  console.error(
    `warmed up with all ${TILES.length} tiles in ${((performance.now() - begun) / 1000).toFixed(0)} s`,
  );
}
