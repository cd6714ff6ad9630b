import {
  DomUtil,
  type LatLng,
  type Map as LeafletMap,
  Point,
  type PointExpression,
  type ZoomPanOptions,
} from 'leaflet';
import { AwaitedZooms } from './awaited-zooms.ts';
import type { FloatingOrigin } from './floating-origin.ts';
import { toLatLng, toPoint } from './image-crs.ts';
import { internalsOf } from './leaflet-internals.ts';
import type { LiifLayer } from './liif-layer.ts';
import type { Position } from './position.ts';
import { toFixed } from './position.ts';

/** The server's deepest zoom, 1024, less a margin for screens. */
export const DEEPEST_ZOOM = 1000;

/** The range of zooms of a DeepView. */
export interface DeepViewOptions {
  /** Lowest and highest zoom of the picture that the map may show. */
  readonly minZoom?: number;
  readonly maxZoom?: number;
}

/**
 * Takes a Leaflet map as deep as the server goes. Leaflet counts in doubles and loses pixels from zoom 45 on.
 * Here the map counts from a root tile near its view. When the view gets far from that tile, map and layers
 * change to another one between two frames, with every tile in its place.
 *
 * Markers and shapes of the page do not follow by themselves. The map fires `rebase` after such a change, and
 * `latLng` then gives their new coordinates.
 */
export class DeepView {
  readonly map: LeafletMap;
  readonly origin: FloatingOrigin;
  readonly #layers = new Set<LiifLayer>();
  readonly #awaitedZooms: AwaitedZooms;
  #minZoom: number;
  readonly #maxZoom: number;

  constructor(map: LeafletMap, layer: LiifLayer, options: DeepViewOptions = {}) {
    this.map = map;
    this.origin = layer.origin;
    this.#awaitedZooms = new AwaitedZooms(map);
    this.#minZoom = options.minZoom ?? 0;
    this.#maxZoom = options.maxZoom ?? DEEPEST_ZOOM;
    this.add(layer);
    this.#limitZoom();
    map.on('moveend', () => this.settle());
  }

  /** Adds a further layer of the map. It has to share the origin. */
  add(layer: LiifLayer): void {
    this.#layers.add(layer);
  }

  remove(layer: LiifLayer): void {
    this.#layers.delete(layer);
  }

  /** Lowest zoom of the picture. A new value does not move the present view. */
  get minZoom(): number {
    return this.#minZoom;
  }

  set minZoom(zoom: number) {
    this.#minZoom = zoom;
    this.#limitZoom();
  }

  get maxZoom(): number {
    return this.#maxZoom;
  }

  /** Zoom of the picture. Leaflet's own zoom counts from the root tile. */
  get zoom(): number {
    return this.map.getZoom() + this.origin.root.z;
  }

  get center(): Position {
    return this.origin.position(toPoint(this.map.getCenter()));
  }

  /** The position under a point of the map's element, in CSS pixels from its upper left corner. */
  positionAt(containerPoint: PointExpression): Position {
    const { x, y } = this.center;
    const offset = this.#offset(containerPoint);
    const exponent = this.origin.nativeZoom - this.zoom;
    return { x: x + toFixed(offset.x, exponent), y: y + toFixed(offset.y, exponent) };
  }

  /** Where a position lies on the map's element, in CSS pixels; inexact far away, as doubles are. */
  containerPoint(position: Position): Point {
    return this.map.latLngToContainerPoint(this.latLng(position));
  }

  /** Coordinates for Leaflet; they hold until the next `rebase`. */
  latLng(position: Position): LatLng {
    const { x, y } = this.origin.local(position);
    return toLatLng(x, y);
  }

  /** Shows the whole picture. */
  fitPicture(): void {
    const [layer] = this.#layers;
    const { width, height } = layer!.source;
    const size = this.map.getSize();
    const zoom = this.origin.nativeZoom + Math.log2(Math.min(size.x / width, size.y / height));
    this.setView({ x: toFixed(width / 2), y: toFixed(height / 2) }, zoom);
  }

  /**
   * Shows a position at a zoom of the picture; nativeZoom shows pixels one to one. Moves at once, or with
   * `animate` gradually to a view that is near.
   */
  setView(position: Position, zoom: number, options: { readonly animate?: boolean } = {}): void {
    const internals = internalsOf(this.map);
    // Ends Leaflet's own animation: it would take no other view until its end, and end in outdated
    // coordinates.
    if (internals._animatingZoom) internals._onZoomTransitionEnd();
    this.#awaitedZooms.drop();
    const wanted = Math.min(this.#maxZoom, Math.max(this.#minZoom, zoom));
    const root = this.origin.rootFor(position, wanted);
    const local = wanted - this.origin.root.z;
    // A motion needs both of its ends in coordinates that the map can count.
    if (options.animate && Math.abs(local - this.map.getZoom()) <= 8 && local <= 40) {
      this.map.setView(this.latLng(position), local, { animate: true });
      return;
    }
    if (root === this.origin.root) {
      if (this.#isNear(position, local)) this.#shift(position);
      else this.map.setView(this.latLng(position), local, { animate: false });
      return;
    }
    this.origin.moveTo(root);
    this.#limitZoom();
    // No coordinate of the map holds under another root. A reset drops all tiles.
    this.map.setView(this.latLng(position), wanted - root.z, { reset: true } as ZoomPanOptions);
    this.map.fire('rebase');
  }

  /** Whether Leaflet would pan there, by whole pixels. */
  #isNear(position: Position, local: number): boolean {
    const { map } = this;
    if (!internalsOf(map)._loaded || map.getZoom() !== local) return false;
    const size = map.getSize();
    return size.contains(this.containerPoint(position).subtract(size.divideBy(2)));
  }

  /**
   * Moves exactly to a position near by, and keeps all tiles. The map's pane, which holds whole pixels only,
   * goes back to its start.
   */
  #shift(position: Position): void {
    const { map } = this;
    const internals = internalsOf(map);
    internals._stop();
    internals._moveStart(true, false);
    DomUtil.setPosition(map.getPane('mapPane')!, new Point(0, 0));
    internals._move(this.latLng(position), map.getZoom(), { pinch: true, round: false });
    internals._moveEnd(true);
  }

  /** Announces the zoom at which a continuous zoom will end. Without a zoom the motion is over. */
  headFor(zoom?: number): void {
    for (const layer of this.#layers) layer.goal = zoom;
  }

  /** One frame of a continuous zoom: `zoom` around a point of the map's element, which keeps its position. */
  zoomFrame(containerPoint: PointExpression, zoom: number): void {
    const internals = internalsOf(this.map);
    const { map } = this;
    const local = zoom - this.origin.root.z;
    // From the exact center: positions on the map's element are rounded to pixels, and frames would add up
    // the rounding.
    const offset = this.#offset(containerPoint);
    const at = map.unproject(map.project(map.getCenter()).add(offset));
    const center = map.unproject(map.project(at, local).subtract(offset), local);
    // As in a pinch: layers load when their whole zoom changes, not in each frame.
    internals._move(center, local, { pinch: true, round: false });
    this.settle();
  }

  /** Moves the origin if the view has gone far from it. Nothing changes on screen. */
  settle(): void {
    const { map, origin } = this;
    const internals = internalsOf(map);
    // Zooms and pinches go on from coordinates that Leaflet noted when they began.
    if (internals._animatingZoom || this.#awaitedZooms.any || internals.touchZoom?._zooming) return;
    const { center, zoom } = this;
    const from = origin.root;
    const to = origin.rootFor(center, zoom);
    if (to === from) return;
    origin.moveTo(to);
    const local = zoom - to.z;
    const latLng = this.latLng(center);
    for (const layer of this.#layers) layer.rebase(from, to);
    internals._zoom = local;
    internals._lastCenter = latLng;
    internals._pixelOrigin = internals._getNewPixelOrigin(latLng, local);
    // _lastCenter holds only while the map's pane has not moved.
    if (!internals._getMapPanePos().equals(new Point(0, 0))) internals._lastCenter = null;
    this.#limitZoom();
    for (const layer of this.#layers) internalsOf(layer)._setZoomTransforms(latLng, local);
    map.fire('rebase');
  }

  /** Offset of a point of the map's element from the middle of the element. */
  #offset(containerPoint: PointExpression): Point {
    const [x, y] = Array.isArray(containerPoint) ? containerPoint : [containerPoint.x, containerPoint.y];
    return new Point(x, y).subtract(this.map.getSize().divideBy(2));
  }

  #limitZoom(): void {
    const { z } = this.origin.root;
    this.map.options.minZoom = this.#minZoom - z;
    this.map.options.maxZoom = this.#maxZoom - z;
  }
}
