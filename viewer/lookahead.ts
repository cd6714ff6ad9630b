import { Bounds, Point } from 'leaflet';
import { TILE_SIZE } from './tile-source.ts';

/** So much of the way ahead of a moving view is made ready, in milliseconds, and at most so many tiles. */
const AHEAD_MS = 1000;
const MAX_AHEAD = 3 * TILE_SIZE;
/** A view that was seen moving longer ago than this stands still. */
const STILL_AFTER_MS = 500;

/** What around a view is worth making before it is in it: a ring of tiles, and more where the view is going. */
export class Lookahead {
  #last: { readonly center: Point; readonly zoom: number; readonly time: number } | undefined;

  /** The next view is no continuation of the last one. */
  forget(): void {
    this.#last = undefined;
  }

  /** `view` in pixels of tiles of `zoom`, and what is around it; `time` in milliseconds. */
  around(view: Bounds, zoom: number, time: number): Bounds {
    const center = view.getCenter();
    const last = this.#last;
    this.#last = { center, zoom, time };
    const ring = new Bounds(
      view.min!.subtract([TILE_SIZE, TILE_SIZE]),
      view.max!.add([TILE_SIZE, TILE_SIZE]),
    );
    if (!last || last.zoom !== zoom || time <= last.time || time - last.time > STILL_AFTER_MS) return ring;
    const moved = center.subtract(last.center);
    const size = view.getSize();
    // Another place, not a motion.
    if (Math.abs(moved.x) > size.x || Math.abs(moved.y) > size.y) return ring;
    const ahead = (way: number) =>
      Math.max(-MAX_AHEAD, Math.min(MAX_AHEAD, (way * AHEAD_MS) / (time - last.time)));
    const way = new Point(ahead(moved.x), ahead(moved.y));
    return new Bounds(
      new Point(Math.min(ring.min!.x, view.min!.x + way.x), Math.min(ring.min!.y, view.min!.y + way.y)),
      new Point(Math.max(ring.max!.x, view.max!.x + way.x), Math.max(ring.max!.y, view.max!.y + way.y)),
    );
  }
}
