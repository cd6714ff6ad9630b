import pLimit from 'p-limit';
import { onAbort, unlessAborted } from '../../src/on-abort.ts';
import { watchPixelRatio } from '../layer/pixel-ratio.ts';
import type { Edition } from '../tiles/edition.ts';
import { fetchImage } from '../tiles/fetch-image.ts';
import { delay, retryDelay } from '../tiles/retry.ts';
import { TileError } from '../tiles/tile-source.ts';
import { addressOf, type ImageInfo } from './api.ts';
import { type Sized, thumbnailAddress, thumbnailSide } from './thumbnail-size.ts';

/** Each thumbnail is a whole picture to decode: of many at once a server would turn most away. */
const AT_ONCE = 2;
const MAX_TRIES = 6;
/** Cards are filled this far before they come into view. */
const MARGIN = '300px';

const limit = pLimit(AT_ONCE);

/**
 * Fetches a small image of the server when its turn has come. Rejects with TileError or the signal's reason.
 */
export function fetchThumbnail(url: string, signal: AbortSignal, edition?: Edition): Promise<Blob> {
  return limit(() => patiently(url, signal, edition));
}

interface Card {
  readonly info: Sized & Pick<ImageInfo, 'thumbnail'>;
  /** Longer side of the image that it shows, in pixels; 0 before there is one. */
  side: number;
  /** Aborts the request for its image, which runs while the card is in view. */
  awaited?: AbortController | undefined;
}

/**
 * Fills `img` elements in or near the view, in the order in which they were added, with as many pixels as
 * they have on the screen. It works between `start` and `stop`, which may be repeated. Elements that leave
 * the view before their turn hold up no others.
 */
export class LazyThumbnails {
  readonly #cards = new Map<HTMLImageElement, Card>();
  // A single observer reports in order; several would not.
  readonly #observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: MARGIN });
  /** Observes all cards anew. */
  readonly #observe = () => {
    this.#observer.disconnect();
    for (const image of this.#cards.keys())
      if (image.isConnected) this.#observer.observe(image);
      else this.#cards.delete(image);
  };
  #running: AbortController | undefined;

  add(image: HTMLImageElement, info: Card['info']): void {
    this.#cards.set(image, { info, side: 0 });
    if (this.#running) this.#observer.observe(image);
  }

  /** Starts, or continues after `stop`. */
  start(): void {
    if (this.#running) return;
    this.#running = new AbortController();
    const { signal } = this.#running;
    watchPixelRatio(this.#observe, signal);
    addEventListener('online', this.#observe, { signal });
    this.#observe();
  }

  stop(): void {
    this.#running?.abort();
    this.#running = undefined;
    this.#observer.disconnect();
  }

  #seen(entries: readonly IntersectionObserverEntry[]): void {
    for (const { isIntersecting, target } of entries) {
      const image = target as HTMLImageElement;
      const card = this.#cards.get(image);
      if (isIntersecting && card) void this.#fill(image, card);
      else card?.awaited?.abort();
    }
  }

  async #fill(image: HTMLImageElement, card: Card): Promise<void> {
    if (!this.#running) return;
    card.awaited?.abort();
    const box = { width: image.clientWidth, height: image.clientHeight };
    const side = thumbnailSide(card.info, box, devicePixelRatio);
    if (side > card.side) {
      const awaited = new AbortController();
      const forget = onAbort(this.#running.signal, () => awaited.abort());
      card.awaited = awaited;
      const url = addressOf(thumbnailAddress(card.info.thumbnail, side));
      const came = await fill(image, fetchThumbnail(url, awaited.signal));
      forget();
      // A card whose image did not come stays observed: it is tried again when it, or the network, is back.
      if (!came) return;
      card.side = side;
    }
    this.#observer.unobserve(image);
  }
}

/**
 * Shows an image as soon as it has come. Resolves with false where it fails; the element then stays empty.
 */
export async function fill(image: HTMLImageElement, loading: Promise<Blob>): Promise<boolean> {
  const blob = await loading.catch(() => undefined);
  if (blob === undefined) return false;
  const address = URL.createObjectURL(blob);
  for (const end of ['load', 'error'] as const)
    image.addEventListener(end, () => URL.revokeObjectURL(address), { once: true });
  image.src = address;
  return true;
}

/** Fetches an image, and tries again after failures that may pass, no sooner than the server says. */
async function patiently(url: string, signal: AbortSignal, edition: Edition | undefined): Promise<Blob> {
  for (let tries = 1; ; tries++) {
    try {
      return await fetchImage(url, { signal, priority: 'low' }, edition);
    } catch (error) {
      if (!(error instanceof TileError) || error.permanent || tries === MAX_TRIES) throw error;
      await unlessAborted(signal, delay(retryDelay(error, tries)));
    }
  }
}
