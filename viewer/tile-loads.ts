import type { Coords, DoneCallback } from 'leaflet';
import { drawn } from './drawn-tile.ts';
import type { TileAddress } from './floating-origin.ts';
import type { TileRatio } from './native-pixels.ts';
import { nearest } from './nearest.ts';
import { retryDelay } from './retry.ts';
import { TileError } from './tile-source.ts';

/** What `layer.status` tells, and the event `tilestatus` of the layer. */
export interface TileStatus {
  /** Tiles wanted now that have not come. */
  readonly loading: number;
  /** Those among them that have failed at least once. */
  readonly failing: number;
  /** Tiles that came since none was wanted. */
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
  /** Pixels per CSS pixel that it was last asked for with. */
  ratio: TileRatio;
}

interface Load extends WantedTile {
  controller: AbortController;
  /** Leaflet is told once that the tile is there; from then on it shows something. */
  done: DoneCallback | undefined;
  waiting: boolean;
  tries: number;
  failed: boolean;
  /** It waits for `retry()`. */
  givenUp: boolean;
  url?: string;
  timer?: ReturnType<typeof setTimeout>;
}

export interface TileLoadsOptions {
  /** Asks for the image of a tile, and notes its ratio. Rejects as TileSource does. */
  ask(tile: WantedTile, signal: AbortSignal): Promise<Blob | ImageBitmap>;
  /** Of a tile from the middle of the map: where there is room for one, the nearest comes next. */
  distance(tile: WantedTile): number;
  /** Something has changed in `status`. */
  onStatus(): void;
  /** A tile has failed, and is not only to wait for a busy server. */
  onFailure(tile: WantedTile, error: Error): void;
}

/** After so many failures a tile waits for `retry()`. */
const MAX_TRIES = 8;
/** So many times in a row a server may be too busy for a tile before it counts as failing. */
const PATIENCE = 3;

/**
 * Fills the elements of tiles. One that fails is asked for again after a growing time, and says so, in its element's text, unless it shows something;
 * what a busy server has turned away is asked for again as others come.
 */
export class TileLoads {
  readonly #options: TileLoadsOptions;
  readonly #loads = new Map<HTMLElement, Load>();
  /** Those that the server was too busy for. */
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

  /** Asks anew for tiles, whether they are there or not; what they show stays until its successor has come. */
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

  /** Whether the tile shows nothing, and is not asked for any more. */
  hasGivenUp(element: HTMLElement): boolean {
    return this.#loads.get(element)?.givenUp ?? false;
  }

  /** The tile is out of view. */
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

  /** What was asked for before may still be on its way: it is not to come, too. */
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
    // What is shown stays; a tile that shows nothing says why.
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

  /** A tile has come, so a server that was too busy for others has time for one of them: the nearest, without its wait. */
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

/** In place of a tile that shows nothing. */
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
