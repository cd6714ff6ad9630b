import { element } from '../elements/element.ts';
import { toFixed, toNumber } from '../layer/position.ts';
import { fill } from '../picture/thumbnail.ts';
import type { PictureMap } from './picture-map.ts';

/** Narrower strips are shown broader than they are, so that there is something to see and to point at. */
const MOST_ASPECT = 8;

/**
 * The whole picture in small, with a frame around the part in view. It is for the pointer: keys and screen
 * readers have the map itself.
 */
export class Navigator {
  readonly element: HTMLElement;
  readonly #picture: PictureMap;
  readonly #frame = element('div', { class: 'navigator-frame' });

  constructor(picture: PictureMap, thumbnail: Promise<Blob>) {
    this.#picture = picture;
    const { width, height } = picture.picture.size;
    const image = element('img', { attributes: { alt: '', draggable: 'false' } });
    this.element = element(
      'div',
      { class: 'navigator panel', attributes: { 'aria-hidden': 'true' } },
      image,
      this.#frame,
    );
    // Where the image fails, the frame still serves.
    void fill(image, thumbnail);
    const aspect = Math.min(MOST_ASPECT, Math.max(1 / MOST_ASPECT, width / height));
    this.element.style.aspectRatio = String(aspect);
    this.element.style.setProperty('--aspect', String(aspect));
    this.element.addEventListener('pointerdown', (event) => {
      this.element.setPointerCapture(event.pointerId);
      this.#goTo(event);
    });
    this.element.addEventListener('pointermove', (event) => {
      if (this.element.hasPointerCapture(event.pointerId)) this.#goTo(event);
    });
    picture.map.on('move zoom moveend rebase', () => this.#show());
  }

  #goTo(event: PointerEvent): void {
    const { left, top, width, height } = this.element.getBoundingClientRect();
    const { size } = this.#picture.picture;
    const within = (value: number) => Math.min(1, Math.max(0, value));
    const x = within((event.clientX - left) / width) * size.width;
    const y = within((event.clientY - top) / height) * size.height;
    this.#picture.motion.stop();
    this.#picture.view.setView({ x: toFixed(x), y: toFixed(y) }, this.#picture.view.zoom);
  }

  #show(): void {
    const { view, map, exponent, picture } = this.#picture;
    const { width, height } = picture.size;
    const shown = map.getSize().multiplyBy(2 ** -exponent);
    const center = view.center;
    const x = toNumber(center.x);
    const y = toNumber(center.y);
    const left = Math.max(0, (x - shown.x / 2) / width);
    const top = Math.max(0, (y - shown.y / 2) / height);
    const right = Math.min(1, (x + shown.x / 2) / width);
    const bottom = Math.min(1, (y + shown.y / 2) / height);
    this.#frame.style.left = `${left * 100}%`;
    this.#frame.style.top = `${top * 100}%`;
    this.#frame.style.width = `${Math.max(0, right - left) * 100}%`;
    this.#frame.style.height = `${Math.max(0, bottom - top) * 100}%`;
    // With the whole picture in view it tells nothing.
    this.element.classList.toggle('navigator-idle', right - left > 0.999 && bottom - top > 0.999);
  }
}
