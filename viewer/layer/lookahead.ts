import { Bounds, Point } from 'leaflet';
import { TILE_SIZE } from '../tiles/tile-source.ts';

/** How far ahead of a moving view tiles are wanted: in milliseconds of its motion, and at most in pixels. */
const AHEAD_MS = 1000;
const MAX_AHEAD = 3 * TILE_SIZE;
/** A view counts as still when its last move is longer ago than this. */
const STILL_AFTER_MS = 500;

/** Tells which tiles around a view to make ahead: a ring of them, and more where the view is going. */
export class Lookahead {
  #last: { readonly center: Point; readonly zoom: number; readonly time: number } | undefined;

  /** The next view does not continue the motion of the last one. */
  forget(): void {
    this.#last = undefined;
  }

  /** `view` with its surroundings, in pixels of tiles of `zoom`. `time` in milliseconds. */
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
    // A jump, not a motion.
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
