import type { LatLng, Map as LeafletMap } from 'leaflet';
import { internalsOf } from './leaflet-internals.ts';

/**
 * Animated zooms that Leaflet has accepted, but begins in the next frame only. Until then it offers no way to
 * take one back. It would go to its view even if another was set in between, and in coordinates that may no
 * longer hold.
 */
export class AwaitedZooms {
  /** The center of each, which Leaflet hands on as the same object. */
  #centers = new Set<LatLng>();
  #dropped = new WeakSet<LatLng>();

  constructor(map: LeafletMap) {
    const internals = internalsOf(map);
    const { _tryAnimatedZoom, _animateZoom } = internals;
    internals._tryAnimatedZoom = (center, ...rest) => {
      const animating = internals._animatingZoom;
      const accepted = _tryAnimatedZoom.call(map, center, ...rest);
      // While it animates, Leaflet says yes and drops the request.
      if (accepted && !animating) {
        this.#centers.add(center);
        this.#dropped.delete(center);
      }
      return accepted;
    };
    internals._animateZoom = (center, ...rest) => {
      this.#centers.delete(center);
      if (!this.#dropped.delete(center)) _animateZoom.call(map, center, ...rest);
      // Leaflet has announced a start just before.
      else internals._moveEnd(true);
    };
  }

  get any(): boolean {
    return this.#centers.size > 0;
  }

  /** Lets none of them begin. */
  drop(): void {
    for (const center of this.#centers) this.#dropped.add(center);
    this.#centers.clear();
  }
}
