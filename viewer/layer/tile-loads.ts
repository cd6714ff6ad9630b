import type { Coords, DoneCallback } from 'leaflet';
import { nearest } from '../tiles/nearest.ts';
import { retryDelay } from '../tiles/retry.ts';
import { TileError } from '../tiles/tile-source.ts';
import { drawn } from './drawn-tile.ts';
import type { TileAddress } from './floating-origin.ts';
import type { TileRatio } from './native-pixels.ts';

/** The state of a layer's tiles: `layer.status`, and the event `tilestatus`. */
export interface TileStatus {
  /** Tiles in demand that have not come. */
  readonly loading: number;
  /** Those among them that have failed at least once. */
  readonly failing: number;
  /** Tiles that came since all had come the last time. */
  readonly loaded: number;
  /** Why the last one failed. */
  readonly reason?: string;
}

/** A tile that is in view, on its way or there. */
export interface WantedTile {
  readonly address: TileAddress;
  /** Leaflet's own object, which follows the origin. */
  readonly coords: Coords;
  readonly element: HTMLElement;
  /** Pixels per CSS pixel of the last request for it. */
  ratio: TileRatio;
}

interface Load extends WantedTile {
  controller: AbortController;
  /** Leaflet is told once that the tile is there; from then on it shows something. */
  done: DoneCallback | undefined;
  waiting: boolean;
  tries: number;
  failed: boolean;
  /** Whether it waits for `retry()`. */
  givenUp: boolean;
  url?: string;
  timer?: ReturnType<typeof setTimeout>;
}

export interface TileLoadsOptions {
  /** Asks for the image of a tile, and notes its ratio. Rejects as TileSource does. */
  ask(tile: WantedTile, signal: AbortSignal): Promise<Blob | ImageBitmap>;
  /** Distance of a tile from the middle of the map. Where there is room for one, the nearest comes next. */
  distance(tile: WantedTile): number;
  /** Called when `status` has changed. */
  onStatus(): void;
  /** Called when a tile has failed, other than by a server that is busy for a while. */
  onFailure(tile: WantedTile, error: Error): void;
}

/** After this many failures a tile waits for `retry()`. */
const MAX_TRIES = 8;
/** How many times in a row a server may be too busy for a tile before the tile counts as failing. */
const PATIENCE = 3;

/**
 * Fills the elements of tiles. A tile that fails is asked for again after a growing time; unless it shows
 * something, its element says so in words. Tiles that a busy server has turned away are asked for again as
 * others come.
 */
export class TileLoads {
  readonly #options: TileLoadsOptions;
  readonly #loads = new Map<HTMLElement, Load>();
  /** Tiles that a busy server has turned away. */
  readonly #turnedAway = new Set<Load>();
  #loading = 0;
  #failing = 0;
  #loaded = 0;
  #reason: string | undefined;

  constructor(options: TileLoadsOptions) {
    this.#options = options;
  }

  get status(): TileStatus {
    return {
      loading: this.#loading,
      failing: this.#failing,
      loaded: this.#loaded,
      ...(this.#failing > 0 && this.#reason !== undefined && { reason: this.#reason }),
    };
  }

  begin(address: TileAddress, coords: Coords, element: HTMLElement, done: DoneCallback): void {
    const load: Load = {
      address,
      coords,
      element,
      controller: new AbortController(),
      ratio: 1,
      done,
      waiting: true,
      tries: 0,
      failed: false,
      givenUp: false,
    };
    this.#loads.set(element, load);
    this.#count(1, 0);
    void this.#load(load);
  }

  /**
   * Asks anew for tiles, whether they have come or not. What they show stays until the new image has come.
   */
  again(which: (tile: WantedTile) => boolean): void {
    for (const load of this.#loads.values()) {
      if (!which(load)) continue;
      this.#count(load.waiting ? 0 : 1, 0);
      load.waiting = true;
      this.#loadAnew(load);
    }
  }

  /** Asks for all failed tiles now. */
  retry(): void {
    for (const load of this.#loads.values()) if (load.failed) this.#loadAnew(load);
  }

  /** Whether the tile waits for `retry()`. */
  hasGivenUp(element: HTMLElement): boolean {
    return this.#loads.get(element)?.givenUp ?? false;
  }

  /** Drops a tile that has gone out of view. */
  forget(element: HTMLElement): void {
    const load = this.#loads.get(element);
    if (!load) return;
    this.#loads.delete(element);
    this.#turnedAway.delete(load);
    clearTimeout(load.timer);
    load.controller.abort();
    revoke(load);
    if (load.waiting) this.#count(-1, load.failed ? -1 : 0);
  }

  /** Aborts the request that may still be under way, and asks anew. */
  #loadAnew(load: Load): void {
    load.controller.abort();
    load.controller = new AbortController();
    load.tries = 0;
    load.givenUp = false;
    void this.#load(load);
  }

  async #load(load: Load): Promise<void> {
    this.#turnedAway.delete(load);
    clearTimeout(load.timer);
    const { element } = load;
    const { signal } = load.controller;
    try {
      const { picture, url } = await drawn(await this.#options.ask(load, signal));
      if (signal.aborted) {
        if (url !== undefined) URL.revokeObjectURL(url);
        return;
      }
      revoke(load);
      if (url !== undefined) load.url = url;
      element.replaceChildren(picture);
      element.classList.remove('liif-tile-failed');
      element.style.visibility = '';
      this.#loaded++;
      this.#count(-1, load.failed ? -1 : 0);
      load.failed = false;
      load.waiting = false;
      load.done?.(undefined, element);
      load.done = undefined;
      this.#makeUseOfRoom();
    } catch (error) {
      if (signal.aborted) return;
      this.#fail(load, error);
    }
  }

  #fail(load: Load, error: unknown): void {
    load.tries++;
    const known = error instanceof TileError;
    if (known && error.busy) {
      this.#turnedAway.add(load);
      if (load.tries <= PATIENCE) {
        this.#loadLater(load, error);
        return;
      }
    }
    const last = (known && error.permanent) || load.tries >= MAX_TRIES;
    this.#reason = known ? error.message : 'The tile cannot be shown.';
    // An image that is shown stays. A tile without one says why.
    if (load.done)
      sayIn(
        load.element,
        known && error.replaced ? 'Picture has changed' : last ? 'Tile failed' : 'Tile failed, trying again',
      );
    if (!load.failed) {
      load.failed = true;
      this.#count(0, 1);
    } else this.#count(0, 0);
    if (last) load.givenUp = true;
    else this.#loadLater(load, error);
    this.#options.onFailure(load, error as Error);
  }

  #loadLater(load: Load, error: unknown): void {
    load.timer = setTimeout(() => void this.#load(load), retryDelay(error, load.tries));
  }

  /**
   * A tile has come, so a server that was too busy for others has time for one of them: the nearest, without
   * its wait.
   */
  #makeUseOfRoom(): void {
    const next = nearest(this.#turnedAway, (load) => this.#options.distance(load));
    if (!next) return;
    next.tries = 0;
    void this.#load(next);
  }

  #count(loading: number, failing: number): void {
    this.#loading += loading;
    this.#failing += failing;
    this.#options.onStatus();
    if (this.#loading === 0) this.#loaded = 0;
  }
}

/** Shows a text in place of the tile's image. */
function sayIn(element: HTMLElement, text: string): void {
  const note = document.createElement('span');
  note.textContent = text;
  element.replaceChildren(note);
  element.classList.add('liif-tile-failed');
  // Leaflet hides tiles until they have come.
  element.style.visibility = 'inherit';
}

function revoke(load: Load): void {
  if (load.url !== undefined) URL.revokeObjectURL(load.url);
  delete load.url;
}
