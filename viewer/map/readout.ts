import { element } from '../elements/element.ts';
import { digitsFor, formatDecimal, type Position } from '../layer/position.ts';
import { formatScale, type Sharpness, sharpnessOf, spokenScale } from '../layer/scale.ts';
import type { PictureMap } from './picture-map.ts';

const ANNOUNCE_AFTER_MS = 500;

/** Shows scale, badge and coordinates. It tells screen readers the scale at the end of a zoom. */
export class Readout {
  readonly element: HTMLElement;
  /** The text for screen readers. */
  readonly announcement = element('div', {
    class: 'visually-hidden',
    attributes: { 'aria-live': 'polite', 'aria-atomic': 'true', id: 'scale-announcement' },
  });
  readonly #picture: PictureMap;
  readonly #scale = element('span', { class: 'readout-scale' });
  readonly #badge = element('span', { class: 'badge' });
  readonly #x = element('span');
  readonly #y = element('span');
  #told = '';
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(picture: PictureMap) {
    this.#picture = picture;
    const coordinates = element('span', { class: 'readout-coordinates' }, this.#x, this.#y);
    this.element = element('div', { class: 'readout panel' }, this.#scale, this.#badge, coordinates);
    const { map } = picture;
    map.on('zoom move rebase pixelratio mouse', () => this.#show());
    map.on('moveend', () => {
      this.#show();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#announce(), ANNOUNCE_AFTER_MS);
    });
    map.on('unload', () => clearTimeout(this.#timer));
  }

  #show(): void {
    const { pointed, screenExponent: exponent } = this.#picture;
    const sharpness = this.#sharpness();
    this.#scale.textContent = formatScale(exponent);
    this.#badge.textContent = sharpness;
    this.#badge.dataset.sharpness = sharpness;
    this.#badge.title = MEANINGS[sharpness];
    const { x, y } = coordinateTexts(pointed, exponent);
    this.#x.textContent = x;
    this.#y.textContent = y;
  }

  #sharpness(): Sharpness | 'enlarged' {
    const sharpness = sharpnessOf(this.#picture.screenExponent);
    return sharpness === 'synthesized' && !this.#picture.picture.synthesizes ? 'enlarged' : sharpness;
  }

  #announce(): void {
    const { view, screenExponent: exponent } = this.#picture;
    const scale = `Scale ${spokenScale(exponent)}, ${this.#sharpness()}`;
    // Moves without a zoom are not announced: they would be chatter.
    if (scale === this.#told) return;
    this.#told = scale;
    // Moves of less than a screen pixel fire no event: show the same numbers that are announced.
    this.#show();
    const { x, y } = coordinateTexts(view.center, Math.min(exponent, 8));
    this.announcement.textContent = `${scale}. Middle at ${x}  ${y}.`;
  }
}

const MEANINGS: Readonly<Record<Sharpness | 'enlarged', string>> = {
  reduced: 'Each pixel of the screen shows several pixels of the picture',
  native: 'Each pixel of the screen is one pixel of the picture',
  synthesized: 'Between the pixels of the picture the network fills in what it has learned to expect',
  enlarged: 'This image is enlarged without a network',
};

function coordinateTexts({ x, y }: Position, exponent: number): { readonly x: string; readonly y: string } {
  const digits = digitsFor(Math.max(0, exponent));
  return { x: `x ${formatDecimal(x, digits)}`, y: `y ${formatDecimal(y, digits)}` };
}
