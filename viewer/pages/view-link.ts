import type { PictureMap } from '../map/picture-map.ts';
import { formatHash, type ViewState } from '../picture/permalink.ts';

/** Browsers refuse frequent changes of the address. */
const LINK_AFTER_MS = 250;

/** Keeps the address of the page a link to what it shows. */
export class ViewLink {
  readonly #picture: PictureMap;
  readonly #state: () => ViewState;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last = '';

  /** `state`: what a link is to hold. */
  constructor(picture: PictureMap, state: () => ViewState) {
    this.#picture = picture;
    this.#state = state;
  }

  /** Whether the address is the one that was written last: somebody may write another into the bar. */
  get isOwn(): boolean {
    return location.hash === this.#last;
  }

  writeSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.write(), LINK_AFTER_MS);
  }

  write(): void {
    if (!this.#picture.picture.hasAddress || this.#picture.motion.running) return;
    this.#last = formatHash(this.#state(), this.#picture.nativeZoom);
    if (!this.isOwn) history.replaceState(history.state, '', this.#last);
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
