import { type Point, point } from 'leaflet';
import type { DeepView } from '../layer/deep-view.ts';
import { internalsOf } from '../layer/leaflet-internals.ts';

/** Milliseconds in which a motion covers two thirds of its way. */
const TIME_CONSTANT_MS = 70;
const ARRIVED = 0.002;

/**
 * Continuous zooming. Each call moves the target, and frames follow it, while the point under the pointer
 * stays in place. Moves of the origin do not interrupt it. With reduced motion it arrives at once.
 */
export class ZoomMotion {
  readonly #view: DeepView;
  #target = 0;
  #anchor: Point = point(0, 0);
  #frame: number | undefined;
  #last = 0;

  constructor(view: DeepView) {
    this.#view = view;
  }

  get running(): boolean {
    return this.#frame !== undefined;
  }

  /** Zoom at the end of the present motion. */
  get target(): number {
    return this.running ? this.#target : this.#view.zoom;
  }

  /** Zooms around a point of the map's element, by default its middle. */
  zoomTo(zoom: number, anchor: Point = this.#view.map.getSize().divideBy(2)): void {
    const view = this.#view;
    const target = Math.min(view.maxZoom, Math.max(view.minZoom, zoom));
    this.#anchor = anchor;
    this.#target = target;
    if (this.running) {
      view.headFor(target);
      return;
    }
    const internals = internalsOf(view.map);
    internals._stop();
    if (target === view.zoom) return;
    view.headFor(target);
    internals._moveStart(true, false);
    if (reducedMotion()) {
      this.#arrive();
      return;
    }
    this.#last = performance.now();
    this.#frame = requestAnimationFrame((now) => this.#step(now));
  }

  zoomBy(delta: number, anchor?: Point): void {
    this.zoomTo(this.target + delta, anchor);
  }

  /** Zooms to the next whole zoom above or below, where pixels fall on pixels again. */
  stepBy(delta: 1 | -1, anchor?: Point): void {
    const from = this.target;
    const whole = delta > 0 ? Math.floor(from + 0.01) + 1 : Math.ceil(from - 0.01) - 1;
    this.zoomTo(whole, anchor);
  }

  /**
   * Stops when two fingers touch the map, before Leaflet's listener begins a pinch from there. Ends with
   * `signal`.
   */
  stopForPinch(signal: AbortSignal): void {
    const onTouch = ({ touches }: TouchEvent) => {
      if (touches.length > 1) this.stop();
    };
    const options = { capture: true, passive: true, signal };
    this.#view.map.getContainer().addEventListener('touchstart', onTouch, options);
  }

  /** Stops at the present zoom. */
  stop(): void {
    if (this.#frame === undefined) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = undefined;
    this.#end();
  }

  /** Arrives at once. */
  finish(): void {
    if (this.#frame === undefined) return;
    cancelAnimationFrame(this.#frame);
    this.#arrive();
  }

  #step(now: number): void {
    const { zoom } = this.#view;
    const left = this.#target - zoom;
    if (Math.abs(left) < ARRIVED) {
      this.#arrive();
      return;
    }
    const elapsed = Math.min(64, Math.max(1, now - this.#last));
    this.#last = now;
    this.#view.zoomFrame(this.#anchor, zoom + left * (1 - Math.exp(-elapsed / TIME_CONSTANT_MS)));
    this.#frame = requestAnimationFrame((next) => this.#step(next));
  }

  #arrive(): void {
    this.#frame = undefined;
    this.#view.zoomFrame(this.#anchor, this.#target);
    this.#end();
  }

  #end(): void {
    this.#view.headFor();
    internalsOf(this.#view.map)._moveEnd(true);
  }
}

export function reducedMotion(): boolean {
  return matchMedia('(prefers-reduced-motion: reduce)').matches;
}
