import { DomUtil } from 'leaflet';
import { TILE_SIZE } from '../tiles/tile-source.ts';
import type { InternalLevel } from './leaflet-internals.ts';

/**
 * Makes neighboring tiles meet on whole screen pixels. Otherwise the background would shine through between
 * them, or two translucent tiles would paint the same pixel. Each tile is stretched by less than a pixel for
 * it.
 */
export class TileEdges {
  /** Screen pixels per pixel of a level, by the level's element. */
  readonly #scales = new WeakMap<Node, number>();

  /** Places the tiles of a level at a new scale in screen pixels. The level itself begins on a whole one. */
  scale(level: InternalLevel, scale: number): void {
    if (this.#scales.get(level.el) === scale) return;
    this.#scales.set(level.el, scale);
    for (const tile of level.el.children) snap(tile as HTMLElement, scale);
  }

  /** Places a tile in its level. */
  place(tile: HTMLElement, level: InternalLevel): void {
    tile.style.transformOrigin = '0 0';
    snap(tile, this.#scales.get(level.el) ?? 1);
  }
}

/**
 * An invisible stretch: Chromium 156 softens the edges of elements that are moved by parts of a pixel without
 * any scaling.
 */
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
