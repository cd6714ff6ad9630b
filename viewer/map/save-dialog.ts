import type { Point } from 'leaflet';
import { element } from '../elements/element.ts';
import { formatScale } from '../layer/scale.ts';
import type { PictureMap } from './picture-map.ts';
import { MAX_SAVED_PIXELS, MAX_SAVED_SIDE, savedRegion } from './save.ts';

/** Asks for a size, and saves the view as PNG. */
export class SaveDialog {
  readonly element: HTMLDialogElement;
  readonly #picture: PictureMap;
  readonly #width: HTMLInputElement;
  readonly #note = element('p', { class: 'dialog-note', attributes: { 'aria-live': 'polite' } });
  readonly #save: HTMLButtonElement;
  readonly #progress = element('progress', {
    attributes: { max: 1, value: 0, hidden: true, 'aria-label': 'Saving' },
  });
  #running: AbortController | undefined;

  constructor(picture: PictureMap) {
    this.#picture = picture;
    this.#width = element('input', {
      attributes: {
        type: 'number',
        id: 'save-width',
        min: 16,
        max: MAX_SAVED_SIDE,
        step: 1,
        inputmode: 'numeric',
        required: true,
      },
      on: { input: () => this.#describe() },
    });
    const factors = [1, 2, 4].map((factor) =>
      element('button', {
        class: 'text-button',
        text: factor === 1 ? 'As on screen' : `${factor}×`,
        attributes: { type: 'button' },
        on: {
          click: () => {
            this.#width.value = String(this.#screen().x * factor);
            this.#describe();
          },
        },
      }),
    );
    this.#save = element('button', { class: 'primary', text: 'Save', attributes: { type: 'submit' } });
    const form = element(
      'form',
      { attributes: { method: 'dialog' } },
      element('h2', { text: 'Save what is in view', attributes: { id: 'save-title' } }),
      element('div', { class: 'row' }, ...factors),
      element('label', { text: 'Width in pixels', attributes: { for: 'save-width' } }),
      this.#width,
      this.#note,
      this.#progress,
      element(
        'div',
        { class: 'row row-end' },
        element('button', {
          class: 'text-button',
          text: 'Cancel',
          attributes: { type: 'button' },
          on: { click: () => this.element.close() },
        }),
        this.#save,
      ),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#run();
    });
    this.element = element(
      'dialog',
      { class: 'dialog panel', attributes: { 'aria-labelledby': 'save-title' } },
      form,
    );
    this.element.addEventListener('close', () => this.#running?.abort());
  }

  open(): void {
    this.#width.value = String(this.#screen().x);
    this.#save.disabled = false;
    this.#progress.hidden = true;
    this.#describe();
    this.element.showModal();
  }

  /** Stops saving. A dialog that is removed from the page fires no `close`. */
  close(): void {
    this.#running?.abort();
  }

  /** Size of the view in screen pixels. */
  #screen(): Point {
    return this.#picture.map.getSize().multiplyBy(devicePixelRatio).round();
  }

  /** Output size for the width in the field, or the text that says why there is none. */
  #size(): { readonly width: number; readonly height: number; readonly zoom: number } | string {
    const screen = this.#screen();
    const width = Number(this.#width.value);
    if (!Number.isInteger(width) || width < 16) return 'At least 16 pixels wide.';
    const height = Math.max(1, Math.round((width * screen.y) / screen.x));
    if (Math.max(width, height) > MAX_SAVED_SIDE || width * height > MAX_SAVED_PIXELS) {
      const most = Math.min(
        MAX_SAVED_SIDE,
        Math.floor((MAX_SAVED_SIDE * screen.x) / screen.y),
        Math.floor(Math.sqrt((MAX_SAVED_PIXELS * screen.x) / screen.y)),
      );
      return `At most ${most} pixels wide in this window.`;
    }
    const factor = (devicePixelRatio * width) / screen.x;
    return { width, height, zoom: this.#picture.view.zoom + Math.log2(factor) };
  }

  #describe(): void {
    const size = this.#size();
    this.#save.disabled = typeof size === 'string';
    if (typeof size === 'string') {
      this.#note.textContent = size;
      return;
    }
    const scale = formatScale(size.zoom - this.#picture.nativeZoom);
    // Canvases multiply colors by alpha, and round them.
    const rounded = this.#picture.picture.alpha ? '; colors under strong transparency are rounded' : '';
    this.#note.textContent = `${size.width} × ${size.height} pixels, scale ${scale}, PNG${rounded}`;
  }

  async #run(): Promise<void> {
    const size = this.#size();
    if (typeof size === 'string') return;
    this.#running?.abort();
    const controller = new AbortController();
    const { signal } = controller;
    this.#running = controller;
    this.#save.disabled = true;
    this.#progress.hidden = false;
    this.#progress.value = 0;
    const { picture, view } = this.#picture;
    try {
      const blob = await savedRegion(
        picture.lossless,
        { center: view.center, ...size },
        (progress) => {
          if (!signal.aborted) this.#progress.value = progress;
        },
        signal,
      );
      // Encoding cannot be aborted, so the signal is looked at again.
      signal.throwIfAborted();
      const url = URL.createObjectURL(blob);
      const name = picture.title.normalize().replaceAll(/[^\p{L}\p{N}\p{M}._-]+/gu, '-');
      const download = `${name}-${size.width}x${size.height}.png`;
      element('a', { attributes: { href: url, download } }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      this.element.close();
    } catch (error) {
      if (signal.aborted) return;
      this.#note.textContent = `Not saved: ${(error as Error).message}`;
      this.#save.disabled = false;
    } finally {
      if (this.#running === controller) this.#running = undefined;
    }
  }
}
