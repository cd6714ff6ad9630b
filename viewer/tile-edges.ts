import { DomUtil } from 'leaflet';
import type { InternalLevel } from './leaflet-internals.ts';
import { TILE_SIZE } from './tile-source.ts';

/**
 * Neighboring tiles meet on whole pixels of the screen, wherever between them the picture's own edges would fall: nothing behind shines through,
 * and no pixel is painted by two of them, which would show where they are translucent. Each is stretched by less than a pixel for it.
 */
export class TileEdges {
  /** Pixels of the screen per pixel of a level, by its element. */
  readonly #scales = new WeakMap<Node, number>();

  /** The level has another scale, in pixels of the screen; it begins on a whole one. */
  scale(level: InternalLevel, scale: number): void {
    if (this.#scales.get(level.el) === scale) return;
    this.#scales.set(level.el, scale);
    for (const tile of level.el.children) snap(tile as HTMLElement, scale);
  }

  /** A tile that has its place in a level. */
  place(tile: HTMLElement, level: InternalLevel): void {
    tile.style.transformOrigin = '0 0';
    snap(tile, this.#scales.get(level.el) ?? 1);
  }
}

/** Of its size, and nothing to be seen: Chromium 156 softens the edges of what is moved by parts of a pixel and not scaled at all. */
const BARELY_STRETCHED = 1 + 1e-7;

function snap(tile: HTMLElement, scale: number): void {
  const whole = (at: number) => Math.round(at * scale) / scale;
  const place = DomUtil.getPosition(tile);
  const [left, top] = [whole(place.x), whole(place.y)];
  const width = (whole(place.x + TILE_SIZE) - left) / TILE_SIZE;
  const height = (whole(place.y + TILE_SIZE) - top) / TILE_SIZE;
  const untouched = left === place.x && top === place.y && width === 1 && height === 1;
  const stretch = untouched ? '' : ` scale(${width * BARELY_STRETCHED}, ${height * BARELY_STRETCHED})`;
  tile.style.transform = `translate3d(${left}px, ${top}px, 0)${stretch}`;
}
