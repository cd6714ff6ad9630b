import { element } from '../elements/element.ts';
import type { LiifLayer } from '../layer/liif-layer.ts';
import type { Comparison } from '../picture/shown-picture.ts';
import type { PictureMap } from './picture-map.ts';

const PANE = 'curtain';
const KEY_STEP = 0.02;

export interface CurtainOptions {
  /** Called when the layer of the comparison comes, and when it goes. */
  readonly onLayer: (layer: LiifLayer, shown: boolean) => void;
  readonly onChange: () => void;
}

/**
 * Shows two renderings on the two sides of a line that can be moved. Both are layers of one map, clipped at
 * the line. The picture must have at least one comparison.
 */
export class Curtain {
  readonly #picture: PictureMap;
  readonly #comparisons: readonly Comparison[];
  readonly #line: HTMLElement;
  readonly #handle: HTMLElement;
  readonly #choice: HTMLSelectElement;
  readonly #labels: HTMLElement;
  readonly #options: CurtainOptions;
  #layer: LiifLayer | undefined;
  #key: string;
  #at = 0.5;

  constructor(picture: PictureMap, options: CurtainOptions) {
    this.#picture = picture;
    this.#comparisons = picture.picture.comparisons;
    this.#options = options;
    this.#key = this.#comparisons[0]!.key;
    const pane = picture.map.createPane(PANE);
    // Just above the tiles of the picture.
    pane.style.zIndex = '210';
    this.#handle = element('div', {
      class: 'curtain-handle',
      attributes: {
        role: 'slider',
        tabindex: 0,
        'aria-label': 'Curtain between the picture and what it is compared with',
        'aria-orientation': 'horizontal',
        'aria-valuemin': 0,
        'aria-valuemax': 100,
      },
      on: { keydown: (event) => this.#keys(event) },
    });
    this.#line = element('div', { class: 'curtain-line', attributes: { hidden: true } }, this.#handle);
    this.#choice = element('select', {
      class: 'curtain-choice',
      attributes: { 'aria-label': 'Compare with' },
    });
    for (const { key, name } of this.#comparisons)
      this.#choice.append(element('option', { text: name, attributes: { value: key } }));
    this.#choice.addEventListener('change', () => this.show(this.#choice.value, this.#at));
    this.#labels = element(
      'div',
      { class: 'curtain-labels', attributes: { hidden: true } },
      element('span', { class: 'curtain-label panel', text: 'LIIF' }),
      element(
        'label',
        { class: 'curtain-label panel' },
        element('span', { class: 'visually-hidden', text: 'Compare with' }),
        this.#choice,
      ),
    );
    this.#drag();
    const container = picture.map.getContainer();
    // Gestures on the line must not move the map.
    for (const type of ['mousedown', 'touchstart', 'dblclick', 'pointerdown'] as const)
      this.#line.addEventListener(type, (event) => event.stopPropagation());
    // The wheel still zooms.
    this.#line.addEventListener('wheel', (event) => picture.wheel(event), { passive: false });
    container.after(this.#line, this.#labels);
    picture.map.on('move zoom moveend resize viewreset rebase', () => this.#layer && this.#clipLayers());
  }

  /** Key of the comparison, and place of the line from 0, the left edge, to 1. Undefined while hidden. */
  get state(): { readonly with: string; readonly at: number } | undefined {
    return this.#layer && { with: this.#key, at: this.#at };
  }

  show(key: string = this.#key, at: number = this.#at): void {
    const comparison = this.#comparisons.find((one) => one.key === key) ?? this.#comparisons[0]!;
    this.#removeLayer();
    this.#key = comparison.key;
    this.#choice.value = comparison.key;
    this.#layer = this.#picture.addLayer(comparison.source, PANE);
    this.#options.onLayer(this.#layer, true);
    this.#line.hidden = false;
    this.#labels.hidden = false;
    this.moveTo(at);
  }

  hide(): void {
    if (!this.#layer) return;
    this.#removeLayer();
    const { activeElement } = document;
    // Hiding the focused element would lose the focus.
    if (this.#line.contains(activeElement) || this.#labels.contains(activeElement))
      this.#picture.map.getContainer().focus({ preventScroll: true });
    this.#line.hidden = true;
    this.#labels.hidden = true;
    const container = this.#picture.layer.getContainer();
    if (container) container.style.clipPath = '';
    this.#options.onChange();
  }

  focus(): void {
    this.#handle.focus();
  }

  moveTo(at: number): void {
    this.#at = Math.min(1, Math.max(0, at));
    this.#line.style.left = `${this.#at * 100}%`;
    const percent = Math.round(this.#at * 100);
    this.#handle.setAttribute('aria-valuenow', String(percent));
    const name = this.#comparisons.find(({ key }) => key === this.#key)!.name.toLowerCase();
    this.#handle.setAttribute('aria-valuetext', `${percent} % picture, ${100 - percent} % ${name}`);
    this.#clipLayers();
    this.#options.onChange();
  }

  #removeLayer(): void {
    if (!this.#layer) return;
    this.#options.onLayer(this.#layer, false);
    this.#picture.removeLayer(this.#layer);
    this.#layer = undefined;
  }

  /** Clips both layers at the line, in the coordinates of their pane, which moves with the map. */
  #clipLayers(): void {
    const { map, layer } = this.#picture;
    const size = map.getSize();
    const corner = map.containerPointToLayerPoint([0, 0]);
    const line = corner.x + size.x * this.#at;
    const box = (left: number, right: number) => {
      const [top, bottom] = [corner.y - 1, corner.y + size.y + 1];
      return `polygon(${left}px ${top}px, ${right}px ${top}px, ${right}px ${bottom}px, ${left}px ${bottom}px)`;
    };
    const own = layer.getContainer();
    const other = this.#layer?.getContainer();
    if (own) own.style.clipPath = box(corner.x - 1, line);
    if (other) other.style.clipPath = box(line, corner.x + size.x + 1);
  }

  #drag(): void {
    const place = (event: PointerEvent) => {
      const { left, width } = this.#picture.map.getContainer().getBoundingClientRect();
      return (event.clientX - left) / width;
    };
    // The line keeps its distance to the pointer that has taken it.
    let offset = 0;
    this.#line.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      offset = this.#at - place(event);
      this.#line.setPointerCapture(event.pointerId);
      this.#handle.focus();
      event.preventDefault();
    });
    this.#line.addEventListener('pointermove', (event) => {
      if (this.#line.hasPointerCapture(event.pointerId)) this.moveTo(place(event) + offset);
    });
  }

  #keys(event: KeyboardEvent): void {
    // The browser's own shortcuts, such as back and forward.
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = event.shiftKey ? KEY_STEP * 5 : KEY_STEP;
    const moves: Readonly<Record<string, number>> = {
      ArrowLeft: this.#at - step,
      ArrowDown: this.#at - step,
      ArrowRight: this.#at + step,
      ArrowUp: this.#at + step,
      PageDown: this.#at - 0.1,
      PageUp: this.#at + 0.1,
      Home: 0,
      End: 1,
    };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.moveTo(to);
  }
}
