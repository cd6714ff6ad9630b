import { element } from './element.ts';
import { backLink } from './message-page.ts';
import { formatBytes } from './shown-picture.ts';

/** Until a picture is there: that it is on its way and, where it is decoded here, how far the decoder has come. A host may never answer: `back` leads to all pictures. */
export class LoadingPage {
  readonly #root: HTMLElement;
  readonly #progress = element('progress', {
    attributes: { max: 1, 'aria-label': 'Loading' },
  });
  readonly #state = element('p', { text: 'Opening' });
  readonly #main: HTMLElement;

  constructor(root: HTMLElement, title: string, back: () => void) {
    this.#root = root;
    document.title = `${title} – liif`;
    this.#main = element(
      'main',
      { class: 'message loading' },
      element('h1', { text: title, attributes: { dir: 'auto' } }),
      this.#progress,
      this.#state,
      backLink(back),
    );
    root.replaceChildren(this.#main);
  }

  progress(loaded: number, total: number): void {
    this.#progress.value = loaded / total;
    this.#state.textContent =
      loaded < total
        ? `Loading the decoder, once: ${formatBytes(loaded)} of ${formatBytes(total)}`
        : 'Starting the decoder';
  }

  /** Something else is shown from now on. */
  end(): void {
    this.#main.remove();
  }

  close(): void {
    this.end();
    this.#root.replaceChildren();
  }
}
