import { DomEvent, Map as LeafletMap, type LeafletMouseEvent, type Point, point } from 'leaflet';
import { DeepView } from '../layer/deep-view.ts';
import { internalsOf } from '../layer/leaflet-internals.ts';
import { LiifLayer } from '../layer/liif-layer.ts';
import { watchPixelRatio } from '../layer/pixel-ratio.ts';
import { type Position, toFixed, toNumber } from '../layer/position.ts';
import type { ShownPicture } from '../picture/shown-picture.ts';
import type { TileSource } from '../tiles/tile-source.ts';
import { Backdrop } from './backdrop.ts';
import { dragAfterPinch } from './pinch-end.ts';
import { reducedMotion, ZoomMotion } from './zoom-motion.ts';

/** At home, small pictures are enlarged by at most 2 to this power. */
const HOME_EXPONENT = 2;
/** Zoom levels per pixel of a mouse wheel's turn. */
const WHEEL_ZOOM = 1 / 180;
const PAN_STEP = 90;

/** A picture on a map: deep view, motion, gestures and keys. The page makes the panels around it. */
export class PictureMap {
  picture: ShownPicture;
  readonly map: LeafletMap;
  readonly layer: LiifLayer;
  readonly view: DeepView;
  readonly motion: ZoomMotion;
  /** The small image of the whole picture, asked for once. Rejects where it does not come. */
  readonly thumbnail: Promise<Blob> | undefined;
  readonly #closing = new AbortController();
  /** Place of the mouse on the map in CSS pixels; undefined where there is none. */
  mouse: Point | undefined;
  /** Where the map's pane will be at the end of a motion by keys. */
  #panTarget: Point | undefined;
  #panning = false;
  /** What keys do, given the length of a step. */
  readonly #keys = new Map<string, (step: number) => void>([
    ['ArrowLeft', (step) => this.#panBy(-step, 0)],
    ['ArrowRight', (step) => this.#panBy(step, 0)],
    ['ArrowUp', (step) => this.#panBy(0, -step)],
    ['ArrowDown', (step) => this.#panBy(0, step)],
    ['+', () => this.motion.stepBy(1)],
    ['=', () => this.motion.stepBy(1)],
    ['-', () => this.motion.stepBy(-1)],
    ['_', () => this.motion.stepBy(-1)],
    ['0', () => this.goHome()],
    ['Home', () => this.goHome()],
    ['1', () => this.motion.zoomTo(this.nativeZoom - Math.log2(devicePixelRatio))],
  ]);

  constructor(container: HTMLElement, picture: ShownPicture) {
    this.picture = picture;
    this.layer = new LiifLayer(picture.source);
    const calm = reducedMotion();
    this.map = new LeafletMap(container, {
      crs: this.layer.crs,
      zoomControl: false,
      attributionControl: false,
      // Wheel, double click and keys go through ZoomMotion.
      scrollWheelZoom: false,
      doubleClickZoom: false,
      keyboard: false,
      // The page follows the size itself, and keeps a view of the whole picture.
      trackResize: false,
      zoomSnap: 0,
      fadeAnimation: !calm,
      zoomAnimation: false,
      inertia: !calm,
      bounceAtZoomLimits: false,
    });
    this.view = new DeepView(this.map, this.layer, { minZoom: this.#lowestZoom() });
    this.motion = new ZoomMotion(this.view);
    this.thumbnail = picture.thumbnail?.(this.#closing.signal);
    if (this.thumbnail && !picture.alpha) new Backdrop(this.view, picture.size, this.thumbnail);
    this.layer.addTo(this.map);
    this.map.on('moveend', () => {
      this.#panTarget = undefined;
      this.#comeBack();
    });
    this.map.on('dblclick', (event: LeafletMouseEvent) =>
      this.motion.stepBy(event.originalEvent.shiftKey ? -1 : 1, event.containerPoint),
    );
    this.motion.stopForPinch(this.#closing.signal);
    dragAfterPinch(this.map, this.#closing.signal);
    container.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    this.#followMouse(container);
    this.map.on('resize', () => this.#limitZoom());
    watchPixelRatio(() => {
      this.#limitZoom();
      this.map.fire('pixelratio');
    }, this.#closing.signal);
  }

  get nativeZoom(): number {
    return this.picture.size.nativeZoom;
  }

  /** log2 of CSS pixels per pixel of the picture, for the layout of the page. */
  get exponent(): number {
    return this.view.zoom - this.nativeZoom;
  }

  /** log2 of screen pixels per pixel of the picture, the scale that the readout tells: 0 is native. */
  get screenExponent(): number {
    return this.exponent + Math.log2(devicePixelRatio);
  }

  /**
   * The position under the mouse, or else in the middle of the map. The map fires `mouse` when the mouse has
   * moved.
   */
  get pointed(): Position {
    return this.mouse ? this.view.positionAt(this.mouse) : this.view.center;
  }

  #followMouse(container: HTMLElement): void {
    const follow = (mouse: Point | undefined) => {
      this.mouse = mouse;
      this.map.fire('mouse');
    };
    container.addEventListener('pointermove', (event) => {
      const { left, top } = container.getBoundingClientRect();
      follow(event.pointerType === 'mouse' ? point(event.clientX - left, event.clientY - top) : undefined);
    });
    container.addEventListener('pointerleave', () => follow(undefined));
  }

  /**
   * A zoom that shows the whole picture, whichever way the screen is turned, and never excludes native scale.
   */
  #lowestZoom(): number {
    const size = this.map.getSize();
    const { width, height, nativeZoom } = this.picture.size;
    const fit = nativeZoom + Math.log2(Math.min(size.x, size.y) / Math.max(width, height));
    return Math.min(0, Math.floor(fit), nativeZoom - Math.log2(devicePixelRatio));
  }

  #limitZoom(): void {
    this.view.minZoom = this.#lowestZoom();
  }

  /** Center and zoom that show the whole picture. */
  home(): { readonly center: Position; readonly zoom: number } {
    const { width, height } = this.picture.size;
    const size = this.map.getSize();
    const fit = Math.log2(Math.min(size.x / width, size.y / height));
    return {
      center: { x: toFixed(width / 2), y: toFixed(height / 2) },
      zoom: Math.max(this.view.minZoom, this.nativeZoom + Math.min(HOME_EXPONENT, fit)),
    };
  }

  /** Whether the view is that of `goHome`, to less than a pixel. */
  get isHome(): boolean {
    const { center, zoom } = this.home();
    const { x, y } = this.view.center;
    const off = (to: bigint, from: bigint) => Math.abs(toNumber(to - from, this.exponent));
    return Math.abs(zoom - this.view.zoom) < 1e-6 && off(x, center.x) < 1 && off(y, center.y) < 1;
  }

  goHome(): void {
    const { center, zoom } = this.home();
    this.motion.stop();
    this.view.setView(center, zoom);
  }

  #panBy(x: number, y: number): void {
    this.motion.stop();
    const internals = internalsOf(this.map);
    // From the end of the motion before: a held key loses no step.
    const target = (this.#panTarget ?? internals._getMapPanePos()).subtract([x, y]);
    const animate = !reducedMotion();
    this.#panning = true;
    internals._stop();
    this.map.panBy(internals._getMapPanePos().subtract(target), { animate, duration: 0.15 });
    this.#panning = false;
    if (animate) this.#panTarget = target;
    else this.#comeBack();
  }

  /** Does what a key means to the map. Returns false for keys that mean nothing to it. */
  key({ key, shiftKey }: KeyboardEvent): boolean {
    const act = this.#keys.get(key);
    act?.(PAN_STEP * (shiftKey ? 3 : 1));
    return act !== undefined;
  }

  /**
   * Takes the same picture from another source: tools ask it from now on, and its tiles replace those shown
   * as they come.
   */
  show(picture: ShownPicture): void {
    this.picture = picture;
    this.layer.changeSource(picture.source);
  }

  /** Adds another picture of the same size to the map. */
  addLayer(source: TileSource, pane: string): LiifLayer {
    const layer = new LiifLayer(source, { origin: this.layer.origin, pane });
    this.view.add(layer);
    layer.addTo(this.map);
    return layer;
  }

  removeLayer(layer: LiifLayer): void {
    this.view.remove(layer);
    layer.remove();
  }

  close(): void {
    this.motion.stop();
    this.#closing.abort();
    this.map.remove();
  }

  /** Zooms around the pointer. Elements over the map hand their wheel events on to here. */
  wheel(event: WheelEvent): void {
    event.preventDefault();
    // Pixels, whatever the device counts in; pinching on a touchpad comes as a wheel with Ctrl, in small
    // steps.
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : event.deltaMode === 2 ? 60 : 1;
    const pixels = -event.deltaY * unit * (event.ctrlKey ? 4 : 1);
    const delta = Math.max(-1, Math.min(1, pixels * WHEEL_ZOOM));
    const anchor = DomEvent.getMousePosition(event as unknown as MouseEvent, this.map.getContainer());
    this.motion.zoomBy(delta, anchor);
  }

  /** Brings the center of the view back onto a picture that was pushed aside. */
  #comeBack(): void {
    // Removing the map fires moveend as well: a motion begun then would never end.
    if (this.motion.running || this.#panning || this.#closing.signal.aborted) return;
    const { width, height } = this.picture.size;
    const { x, y } = this.view.center;
    const within = (value: bigint, side: number) => {
      const end = toFixed(side);
      return value < 0n ? 0n : value > end ? end : value;
    };
    const target = { x: within(x, width), y: within(y, height) };
    if (target.x === x && target.y === y) return;
    const offset = point(
      toNumber(target.x - x, this.exponent),
      toNumber(target.y - y, this.exponent),
    ).round();
    if (offset.x === 0 && offset.y === 0) return;
    if (Math.max(Math.abs(offset.x), Math.abs(offset.y)) > 4096) this.view.setView(target, this.view.zoom);
    else this.map.panBy(offset, { animate: !reducedMotion(), duration: 0.2 });
  }
}
