import pLimit from 'p-limit';
import { onAbort } from '../src/on-abort.ts';
import type { Edition } from './edition.ts';
import { fetchImage } from './fetch-image.ts';
import { retryDelay } from './retry.ts';
import { TileError } from './tile-source.ts';

/** Each is a whole picture to decode: a server that is asked for many at once would have to turn most of them away. */
const AT_ONCE = 2;
const MAX_TRIES = 6;
/** A card is filled before it comes into view. */
const MARGIN = '300px';

const limit = pLimit(AT_ONCE);

/** The small image at an address of the server, when its turn has come. Rejects with TileError or the reason of the signal. */
export function fetchThumbnail(url: string, signal: AbortSignal, edition?: Edition): Promise<Blob> {
  return limit(() => patiently(url, signal, edition));
}

/** Fills `img` elements once they are in view, or nearly, in the order in which they were added: between `start` and `stop`, which may follow each other. */
export class LazyThumbnails {
  /** Of images that are not filled yet. */
  readonly #addresses = new Map<HTMLImageElement, string>();
  // One for all: several would tell in any order.
  readonly #observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: MARGIN });
  #running: AbortController | undefined;

  add(image: HTMLImageElement, url: string): void {
    this.#addresses.set(image, url);
    if (this.#running) this.#observer.observe(image);
  }

  /** Also goes on with what `stop` has interrupted. */
  start(): void {
    this.#running ??= new AbortController();
    for (const image of this.#addresses.keys())
      if (image.isConnected) this.#observer.observe(image);
      else this.#addresses.delete(image);
  }

  stop(): void {
    this.#running?.abort();
    this.#running = undefined;
    this.#observer.disconnect();
  }

  #seen(entries: readonly IntersectionObserverEntry[]): void {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting) void this.#fill(target as HTMLImageElement);
  }

  async #fill(image: HTMLImageElement): Promise<void> {
    const url = this.#addresses.get(image);
    if (url === undefined || !this.#running) return;
    const { signal } = this.#running;
    this.#observer.unobserve(image);
    await fill(image, fetchThumbnail(url, signal));
    if (!signal.aborted) this.#addresses.delete(image);
  }
}

/** Shows an image as soon as it is there; without one the element stays empty. */
export async function fill(image: HTMLImageElement, loading: Promise<Blob>): Promise<void> {
  const blob = await loading.catch(() => undefined);
  if (blob === undefined) return;
  const address = URL.createObjectURL(blob);
  image.addEventListener('load', () => URL.revokeObjectURL(address), { once: true });
  image.src = address;
}

/** Asks again, when the server says so, for what it was too busy for. */
async function patiently(url: string, signal: AbortSignal, edition: Edition | undefined): Promise<Blob> {
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted();
    try {
      return await fetchImage(url, { signal, priority: 'low' }, edition);
    } catch (error) {
      if (!(error instanceof TileError) || error.permanent || tries === MAX_TRIES) throw error;
      await pause(retryDelay(error, tries), signal);
    }
  }
}

/** Resolves after so many milliseconds, or when the signal is aborted: who has gone keeps nobody waiting. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      forget();
      resolve();
    };
    const timer = setTimeout(end, ms);
    const forget = onAbort(signal, end);
  });
}
