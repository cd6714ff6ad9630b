import { DomEvent, Map as LeafletMap, type LeafletMouseEvent, type Point, point } from 'leaflet';
import { Backdrop } from './backdrop.ts';
import { DeepView } from './deep-view.ts';
import { internalsOf } from './leaflet-internals.ts';
import { LiifLayer } from './liif-layer.ts';
import { dragAfterPinch } from './pinch-end.ts';
import { watchPixelRatio } from './pixel-ratio.ts';
import { type Position, toFixed, toNumber } from './position.ts';
import type { ShownPicture } from './shown-picture.ts';
import type { TileSource } from './tile-source.ts';
import { reducedMotion, ZoomMotion } from './zoom-motion.ts';

/** Small pictures are shown at most so many times their size at home. */
const HOME_EXPONENT = 2;
/** Zooms per pixel of a mouse wheel's turn, and the most of one event. */
const WHEEL_ZOOM = 1 / 180;
const PAN_STEP = 90;

/** A picture on a map: deep view, motion, gestures and keys. What stands around it is made by the page. */
export class PictureMap {
  picture: ShownPicture;
  readonly map: LeafletMap;
  readonly layer: LiifLayer;
  readonly view: DeepView;
  readonly motion: ZoomMotion;
  /** The small image of the whole, asked for once; rejects where it does not come. */
  readonly thumbnail: Promise<Blob> | undefined;
  readonly #closing = new AbortController();
  readonly #endWatch: () => void;
  /** Where the map's pane will be when keys have moved it. */
  #panTarget: Point | undefined;
  #panning = false;

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
      // The page does, and keeps the whole picture in view.
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
    this.map.on('resize', () => this.#limitZoom());
    this.#endWatch = watchPixelRatio(() => {
      this.#limitZoom();
      this.map.fire('pixelratio');
    });
  }

  get nativeZoom(): number {
    return this.picture.size.nativeZoom;
  }

  /** log2 of the scale in CSS pixels, by which the page is laid out: 0 where one of them is a pixel of the picture. */
  get exponent(): number {
    return this.view.zoom - this.nativeZoom;
  }

  /** log2 of the scale that people are told: 0 at native, where one pixel of the picture is one of the screen. */
  get screenExponent(): number {
    return this.exponent + Math.log2(devicePixelRatio);
  }

  /** Shows the whole picture, whichever way the screen is turned, and its native scale. */
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

  /** Whether the whole picture is shown as `goHome` does, but for less than a pixel. */
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

  /** Pixel of the picture for pixel of the screen, around the middle. */
  goNative(): void {
    this.motion.zoomTo(this.nativeZoom - Math.log2(devicePixelRatio));
  }

  panBy(x: number, y: number): void {
    this.motion.stop();
    const internals = internalsOf(this.map);
    // What is left of the way before is gone too: a key that is held loses nothing.
    const target = (this.#panTarget ?? internals._getMapPanePos()).subtract([x, y]);
    const animate = !reducedMotion();
    this.#panning = true;
    internals._stop();
    this.map.panBy(internals._getMapPanePos().subtract(target), { animate, duration: 0.15 });
    this.#panning = false;
    if (animate) this.#panTarget = target;
    else this.#comeBack();
  }

  /** What a key does on the map; false where it is none of the map's. */
  key({ key, shiftKey }: KeyboardEvent): boolean {
    const step = PAN_STEP * (shiftKey ? 3 : 1);
    switch (key) {
      case 'ArrowLeft':
        this.panBy(-step, 0);
        return true;
      case 'ArrowRight':
        this.panBy(step, 0);
        return true;
      case 'ArrowUp':
        this.panBy(0, -step);
        return true;
      case 'ArrowDown':
        this.panBy(0, step);
        return true;
      case '+':
      case '=':
        this.motion.stepBy(1);
        return true;
      case '-':
      case '_':
        this.motion.stepBy(-1);
        return true;
      case '0':
      case 'Home':
        this.goHome();
        return true;
      case '1':
        this.goNative();
        return true;
    }
    return false;
  }

  /** The same picture from elsewhere: tools ask there from now on, and tiles are replaced as they come. */
  show(picture: ShownPicture): void {
    this.picture = picture;
    this.layer.changeSource(picture.source);
  }

  /** One more picture of the same size on the map. */
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
    this.#endWatch();
    this.map.remove();
  }

  /** Zooms around the pointer; for what lies over the map, too. */
  wheel(event: WheelEvent): void {
    event.preventDefault();
    // Pixels, whatever the device counts in; pinching on a touchpad comes as a wheel with Ctrl, in small steps.
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : event.deltaMode === 2 ? 60 : 1;
    const pixels = -event.deltaY * unit * (event.ctrlKey ? 4 : 1);
    const delta = Math.max(-1, Math.min(1, pixels * WHEEL_ZOOM));
    const anchor = DomEvent.getMousePosition(event as unknown as MouseEvent, this.map.getContainer());
    this.motion.zoomBy(delta, anchor);
  }

  /** The picture can be pushed aside, but its middle half stays in reach: the center of the view comes back to it. */
  #comeBack(): void {
    // A map that is removed ends its motion, and says so: another one would never end.
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
