import {
  Bounds,
  type Coords,
  type CRS,
  DomUtil,
  type DoneCallback,
  GridLayer,
  type GridLayerOptions,
  type LatLng,
  LatLngBounds,
  type Map as LeafletMap,
  Point,
} from 'leaflet';
import { HttpTileSource } from '../tiles/http-tile-source.ts';
import { describedBy } from '../tiles/served-picture.ts';
import { isInside, TILE_SIZE, type TileSource } from '../tiles/tile-source.ts';
import { FloatingOrigin, type RootTile } from './floating-origin.ts';
import { imageCrs } from './image-crs.ts';
import { type InternalLevel, internalsOf } from './leaflet-internals.ts';
import { Lookahead } from './lookahead.ts';
import { nativeRatio, onScreenPixel, screenRatio, type TileRatio } from './native-pixels.ts';
import { watchPixelRatio } from './pixel-ratio.ts';
import { toFixed } from './position.ts';
import { rebaseTiles } from './rebase.ts';
import { TileEdges } from './tile-edges.ts';
import { TileLoads, type TileStatus, type WantedTile } from './tile-loads.ts';

/**
 * Options of GridLayer without the size of tiles, which the server sets. `bounds` are coordinates as
 * `boundsIn` gives them, of the origin at its start.
 */
export interface LiifLayerOptions extends Omit<GridLayerOptions, 'tileSize'> {
  /** Where the map's coordinates begin, shared by all layers of a map. Default: the corner of the picture. */
  readonly origin?: FloatingOrigin;
  /**
   * Pixels of a tile per CSS pixel. Default: as many as the screen has, 3 at most; at native scale as many as
   * give the picture's own pixels.
   */
  readonly pixelRatio?: TileRatio;
}

/**
 * A picture as a Leaflet layer, for maps with `L.CRS.Simple`, or with the layer's own `crs`, whose
 * coordinates are pixels of the picture. `boundsIn` tells where the picture lies. Beyond zoom 44, give the
 * map the layer's `crs` and a DeepView.
 *
 * A tile that fails says so in its element's text. It is asked for again after a growing time, and when the
 * network is back. Tiles that go out of view are aborted.
 *
 * Events are those of GridLayer, and `tilestatus`. `tileerror` comes with each failure and has a TileError.
 * `load` comes, and `isLoading()` is false, when all tiles have come or were given up. Permanent failures are
 * given up at once.
 */
export class LiifLayer extends GridLayer {
  readonly origin: FloatingOrigin;
  /**
   * Zoom of the picture at which the present motion will end. Tiles are asked for with the pixels that they
   * need there.
   */
  goal: number | undefined;
  #source: TileSource;
  readonly #loads: TileLoads;
  readonly #pixelRatio: TileRatio | undefined;
  readonly #bounds: LatLngBounds | undefined;
  readonly #edges = new TileEdges();
  readonly #lookahead = new Lookahead();
  /** Aborted when the layer leaves its map. */
  #onMap = new AbortController();

  constructor(source: TileSource, options: LiifLayerOptions = {}) {
    const { origin, pixelRatio, ...rest } = options;
    super({
      keepBuffer: 1,
      updateInterval: 100,
      minZoom: -32,
      minNativeZoom: 0,
      noWrap: true,
      ...rest,
      tileSize: TILE_SIZE,
    });
    this.#source = source;
    this.origin = origin ?? new FloatingOrigin(source.nativeZoom);
    this.#pixelRatio = pixelRatio;
    const { bounds } = rest;
    this.#bounds = bounds && (bounds instanceof LatLngBounds ? bounds : new LatLngBounds(bounds));
    this.#loads = new TileLoads({
      ask: (tile, signal) => this.#ask(tile, signal),
      distance: (tile) => this.#distance(tile),
      onStatus: () => this.fire('tilestatus', this.status),
      onFailure: ({ element: tile, coords }, error) => {
        this.fire('tileerror', { tile, coords, error });
        this.#tellLoading();
      },
    });
    this.on('tileloadstart', ({ tile }) => this.#edges.place(tile, internalsOf(this)._level!));
    this.on('tileunload', ({ tile }) => this.#loads.forget(tile));
  }

  /**
   * Opens a picture of a server as a layer. `server` is the address of its root. Rejects with TileError where
   * there is no such picture or server.
   */
  static async open(server: string, id: string, options: LiifLayerOptions = {}): Promise<LiifLayer> {
    const root = new URL(server.endsWith('/') ? server : `${server}/`, document.baseURI).href;
    return new LiifLayer(new HttpTileSource(await describedBy(root, id), { server: root }), options);
  }

  get source(): TileSource {
    return this.#source;
  }

  /** Takes tiles of the same picture from another source. Each tile stays until its successor has come. */
  changeSource(source: TileSource): void {
    this.#source = source;
    this.#loadAgain(() => true);
  }

  /** Asks anew for tiles of the present zoom. Tiles of other zooms are about to go. */
  #loadAgain(which: (tile: WantedTile) => boolean): void {
    const { _tileZoom } = internalsOf(this);
    this.#loads.again((tile) => tile.coords.z === _tileZoom && which(tile));
    this.#tellLoading();
  }

  /** The coordinate system that a map of this picture needs. */
  get crs(): CRS {
    return imageCrs(this.source.nativeZoom);
  }

  /**
   * Where the picture lies in coordinates of a map with `crs`, `L.CRS.Simple` or the layer's own, as long as
   * the origin has not moved.
   */
  boundsIn(crs: CRS): LatLngBounds {
    const { width, height, nativeZoom } = this.source;
    return new LatLngBounds(
      crs.pointToLatLng(new Point(0, height), nativeZoom),
      crs.pointToLatLng(new Point(width, 0), nativeZoom),
    );
  }

  get status(): TileStatus {
    return this.#loads.status;
  }

  override onAdd(map: LeafletMap): this {
    this.#onMap = new AbortController();
    const { signal } = this.#onMap;
    watchPixelRatio(() => this.#otherPixels(), signal);
    addEventListener('online', () => this.retry(), { signal });
    super.onAdd(map);
    // On pages read from right to left Chromium shifts scrollable content by parts of a screen pixel, and
    // tiles would not meet.
    const container = map.getContainer();
    if (getComputedStyle(container).direction === 'rtl') container.style.overflow = 'clip';
    map.on('zoomanim zoomend viewreset', this.#overlap, this);
    map.on('move', this.#placeLevels, this);
    map.on('moveend', this.#rest, this);
    return this;
  }

  override onRemove(map: LeafletMap): this {
    this.#onMap.abort();
    map.off('zoomanim zoomend viewreset', this.#overlap, this);
    map.off('move', this.#placeLevels, this);
    map.off('moveend', this.#rest, this);
    super.onRemove(map);
    // Ends `loading`, so that adding the layer anew fires it again.
    this.#tellLoading();
    return this;
  }

  /** Asks for all failed tiles now. */
  retry(): void {
    this.#loads.retry();
    this.#tellLoading();
  }

  /**
   * Counts from another root tile; nothing moves on screen. Only for DeepView, which changes the map at the
   * same time.
   */
  rebase(from: RootTile, to: RootTile): void {
    this.#lookahead.forget();
    rebaseTiles(internalsOf(this), from, to);
  }

  /**
   * Returns the object itself: Leaflet would hand a copy to `createTile`, which would not follow the origin.
   */
  protected override _wrapCoords(coords: Coords): Coords {
    return coords;
  }

  protected override createTile(coords: Coords, done: DoneCallback): HTMLElement {
    const element = document.createElement('div');
    element.className = 'liif-tile';
    this.#loads.begin(this.origin.tile(coords), coords, element, done);
    return element;
  }

  /** Overrides Leaflet's test of which tiles there are. */
  protected _isValidTile(coords: Coords): boolean {
    const { z, x, y } = this.origin.tile(coords);
    if (z < 0 || !isInside(this.source, z, x, y)) return false;
    if (!this.#bounds) return true;
    const corner = new Point(coords.x, coords.y).multiplyBy(TILE_SIZE);
    const tile = new Bounds(corner, corner.add([TILE_SIZE, TILE_SIZE]));
    return this.#extent(coords.z).overlaps(tile);
  }

  /** The shown part of the picture, whole or cropped to `bounds`, in pixels of the map at its zoom `zoom`. */
  #extent(zoom: number): Bounds {
    const { width, height, nativeZoom } = this.#source;
    const bounds = this.#bounds;
    const crs = this._map.options.crs!;
    const corners = bounds
      ? [bounds.getNorthWest(), bounds.getSouthEast()].map((at) => crs.latLngToPoint(at, nativeZoom))
      : [new Point(0, 0), new Point(width, height)];
    const scale = 2 ** (zoom - nativeZoom);
    const pixel = ({ x, y }: Point) => {
      const local = this.origin.local({ x: toFixed(x), y: toFixed(y) });
      return new Point(local.x * scale, local.y * scale);
    };
    return new Bounds(pixel(corners[0]!), pixel(corners[1]!));
  }

  /** Overrides Leaflet's choice of the pixels at the present zoom that need tiles. */
  protected _getTiledPixelBounds(center: LatLng): Bounds {
    const tileZoom = internalsOf(this)._tileZoom!;
    const view = overridden._getTiledPixelBounds.call(this, center);
    const wanted = this.#source.looksAhead ? this.#lookahead.around(view, tileZoom, performance.now()) : view;
    // Leaflet visits every place for a tile in these bounds. Far out, far too many lie around the picture.
    return common(wanted, this.#extent(tileZoom));
  }

  /** Leaflet calls this when the view has moved. It alone would go on waiting for tiles far outside. */
  protected _update(center?: LatLng): void {
    overridden._update.call(this, center);
    const internals = internalsOf(this);
    for (const [key, tile] of Object.entries(internals._tiles))
      if (!tile.current && !tile.loaded) internals._removeTile(key);
    this.#tellLoading();
  }

  /**
   * Overrides Leaflet's test of whether all tiles have come, which leaves out tiles that were given up. Tiles
   * of the zoom before stay beneath those.
   */
  protected _noTilesToLoad(): boolean {
    return Object.values(internalsOf(this)._tiles ?? {}).every(
      ({ el, loaded }) => loaded !== undefined || this.#loads.hasGivenUp(el),
    );
  }

  /** Fires `loading` and `load`. Leaflet itself looks only when a tile has come. */
  #tellLoading(): void {
    const internals = internalsOf(this);
    const loading = !this._noTilesToLoad();
    if (loading === (internals._loading ?? false)) return;
    internals._loading = loading;
    this.fire(loading ? 'loading' : 'load');
  }

  /**
   * Leaflet calls this when the zoom of tiles changes: tiles of the old zoom that have not come are no longer
   * wanted.
   */
  protected _abortLoading(): void {
    const internals = internalsOf(this);
    for (const [key, tile] of Object.entries(internals._tiles))
      if (tile.coords.z !== internals._tileZoom && !tile.loaded) internals._removeTile(key);
  }

  #ask(tile: WantedTile, signal: AbortSignal): Promise<Blob | ImageBitmap> {
    const { z, x, y } = tile.address;
    tile.ratio = this.#ratio(tile.coords.z);
    return this.#source.tile(z, x, y, TILE_SIZE * tile.ratio, signal, () => this.#distance(tile));
  }

  #ratio(tileZoom: number): TileRatio {
    const zoom = this.goal === undefined ? this._map.getZoom() : this.goal - this.origin.root.z;
    return this.#native(tileZoom, zoom) ?? this.#pixelRatio ?? screenRatio();
  }

  /**
   * The ratio of tiles with the picture's own pixels, where the map shows those of `tileZoom` at native
   * scale.
   */
  #native(tileZoom: number, zoom: number): TileRatio | undefined {
    const { z } = this.origin.root;
    if (tileZoom !== internalsOf(this)._clampZoom(Math.round(zoom))) return undefined;
    const ratio = nativeRatio(this.#source.nativeZoom - z, zoom, tileZoom);
    return this.#pixelRatio === undefined || this.#pixelRatio === ratio ? ratio : undefined;
  }

  /** Overrides Leaflet's placing of the tiles of a zoom: they go on whole screen pixels. */
  protected _setZoomTransform(level: InternalLevel, center: LatLng, zoom: number): void {
    const map = this._map;
    const scale = map.getZoomScale(zoom, level.zoom);
    const place = level.origin.multiplyBy(scale).subtract(internalsOf(map)._getNewPixelOrigin(center, zoom));
    const native = this.#native(level.zoom, zoom);
    const onScreen = native ?? scale * devicePixelRatio;
    DomUtil.setTransform(level.el, onScreenPixel(map, place), onScreen / devicePixelRatio);
    this.#edges.scale(level, onScreen);
  }

  /** Places all tiles on screen pixels again, since maps move by CSS pixels. */
  #placeLevels(): void {
    const map = this._map;
    if (internalsOf(this)._level && !internalsOf(map)._animatingZoom)
      internalsOf(this)._setZoomTransforms(map.getCenter(), map.getZoom());
  }

  /**
   * Asks anew for tiles with too few pixels, or at native scale too many: they came during a motion, or for
   * another screen.
   */
  #rest(): void {
    const { _tileZoom } = internalsOf(this);
    if (_tileZoom === undefined) return;
    const ratio = this.#ratio(_tileZoom);
    const native = this.#native(_tileZoom, this._map.getZoom()) !== undefined;
    this.#loadAgain((tile) => tile.ratio < ratio || (native && tile.ratio > ratio));
  }

  #otherPixels(): void {
    this.#placeLevels();
    this.#rest();
  }

  /** Distance of a tile from the middle of the map, in tiles. */
  #distance({ coords }: WantedTile): number {
    const middle = this._map.project(this._map.getCenter(), coords.z).divideBy(TILE_SIZE);
    return middle.distanceTo(new Point(coords.x + 0.5, coords.y + 0.5));
  }

  /**
   * While Leaflet animates a zoom, edges of tiles fall between screen pixels. Opaque tiles then reach under
   * their neighbors.
   */
  #overlap(event: { readonly type: string }): void {
    const overlaps = event.type === 'zoomanim' && !this.#source.alpha;
    this.getContainer()?.style.setProperty('--liif-overlap', overlaps ? '1px' : '0px');
  }
}

/** The intersection of two areas; where they have none, the middle of the first. */
function common(one: Bounds, other: Bounds): Bounds {
  const middle = one.getCenter();
  if (!one.overlaps(other)) return new Bounds(middle, middle);
  return new Bounds(
    new Point(Math.max(one.min!.x, other.min!.x), Math.max(one.min!.y, other.min!.y)),
    new Point(Math.min(one.max!.x, other.max!.x), Math.min(one.max!.y, other.max!.y)),
  );
}

/** Methods of GridLayer that its types leave out. */
const overridden = GridLayer.prototype as unknown as {
  _getTiledPixelBounds(this: GridLayer, center: LatLng): Bounds;
  _update(this: GridLayer, center?: LatLng): void;
};
