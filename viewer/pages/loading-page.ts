import { element } from '../elements/element.ts';
import { formatBytes } from '../picture/shown-picture.ts';
import { againButton, backLink } from './message-page.ts';

/** After this long without progress a reload is offered: a part of the page may never come. */
const SLOW_MS = 20_000;

/**
 * Shown until a picture is there, with the progress of the decoder where it is decoded here. The host may
 * never answer, so `back` leads to all pictures.
 */
export class LoadingPage {
  readonly #root: HTMLElement;
  readonly #progress = element('progress', {
    attributes: { max: 1, 'aria-label': 'Loading' },
  });
  readonly #state = element('p', { text: 'Opening' });
  readonly #slow = element('div', { attributes: { role: 'status' } });
  readonly #main: HTMLElement;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(root: HTMLElement, title: string, back: () => void) {
    this.#root = root;
    document.title = `${title} – liif`;
    this.#main = element(
      'main',
      { class: 'message loading' },
      element('h1', { text: title, attributes: { dir: 'auto' } }),
      this.#progress,
      this.#state,
      this.#slow,
      backLink(back),
    );
    root.replaceChildren(this.#main);
    this.#wait();
  }

  progress(loaded: number, total: number): void {
    this.#progress.value = loaded / total;
    this.#state.textContent =
      loaded < total
        ? `Loading the decoder, once: ${formatBytes(loaded)} of ${formatBytes(total)}`
        : 'Starting the decoder';
    this.#wait();
  }

  /** Removes the page: something else is shown from now on. */
  end(): void {
    clearTimeout(this.#timer);
    this.#main.remove();
  }

  close(): void {
    this.end();
    this.#root.replaceChildren();
  }

  #wait(): void {
    clearTimeout(this.#timer);
    this.#slow.replaceChildren();
    this.#timer = setTimeout(() => {
      this.#slow.replaceChildren(
        element('p', { text: 'This takes longer than usual.' }),
        againButton('Reload the page', () => location.reload()),
      );
    }, SLOW_MS);
  }
}
