import type { GridLayer, LatLng, Map as LeafletMap, Point } from 'leaflet';

// Private parts of Leaflet 1.9. A floating origin needs them to change a map's coordinates without moving
// anything on screen.

/** A tile as GridLayer keeps it; `coords` is the very object that Leaflet's callbacks hold. */
export interface InternalTile {
  readonly el: HTMLElement;
  readonly coords: Point & { z: number };
  /** Whether the present view needs it. */
  current?: boolean;
  loaded?: number;
  active?: boolean;
}

/** Tiles of one zoom, drawn in `el` at positions relative to `origin`. */
export interface InternalLevel {
  zoom: number;
  origin: Point;
  readonly el: HTMLElement;
}

export interface GridLayerInternals {
  /** Undefined, against its type, before the layer is first added to a map. */
  _tiles: Record<string, InternalTile>;
  _levels: Record<string, InternalLevel>;
  _level?: InternalLevel;
  _tileZoom: number | undefined;
  /** The answer of `isLoading()`. */
  _loading?: boolean;
  _removeTile(key: string): void;
  _clampZoom(zoom: number): number;
  _tileCoordsToKey(coords: { x: number; y: number; z: number }): string;
  _setZoomTransforms(center: LatLng, zoom: number): void;
  _pruneTiles(): void;
}

export interface MapInternals {
  _zoom: number;
  _pixelOrigin: Point;
  _lastCenter: LatLng | null;
  readonly _loaded?: boolean;
  _animatingZoom?: boolean;
  /** Whether Leaflet will animate; it begins in the next frame, by `_animateZoom` with the same `center`. */
  _tryAnimatedZoom(center: LatLng, zoom: number, options?: object): boolean;
  _animateZoom(center: LatLng, zoom: number, startAnim: boolean, noUpdate?: boolean | number): void;
  _onZoomTransitionEnd(): void;
  readonly touchZoom?: { readonly _zooming?: boolean };
  readonly dragging: { readonly _draggable?: { _onDown(event: TouchEvent): void } };
  _getNewPixelOrigin(center: LatLng, zoom: number): Point;
  _getMapPanePos(): Point;
  _moveStart(zoomChanged: boolean, noMoveStart: boolean): void;
  _move(center: LatLng, zoom: number, data?: object): void;
  _moveEnd(zoomChanged: boolean): void;
  _stop(): void;
}

export function internalsOf(map: LeafletMap): MapInternals;
export function internalsOf(layer: GridLayer): GridLayerInternals;
export function internalsOf(object: unknown): unknown {
  return object;
}
