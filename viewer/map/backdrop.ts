import { element } from '../elements/element.ts';
import type { DeepView } from '../layer/deep-view.ts';
import { toFixed } from '../layer/position.ts';
import { fill } from '../picture/thumbnail.ts';

const PANE = 'backdrop';
/**
 * Sides in CSS pixels before scaling: browsers round a laid out size to whole pixels, and scaling would
 * enlarge the rounding.
 */
const SIDE = 256;
/** Beyond this size the image would be a single color in view, and more than browsers draw well. */
const MAX_SIDE = 2 ** 15;

/**
 * The small image of the whole picture beneath the tiles, seen where they have not come yet. Translucent
 * pictures must not have one.
 */
export class Backdrop {
  readonly #image = element('img', { class: 'backdrop', attributes: { alt: '', draggable: 'false' } });
  readonly #view: DeepView;
  readonly #size: { readonly width: number; readonly height: number };

  /** Without `thumbnail`, which may fail, there is nothing to see. */
  constructor(
    view: DeepView,
    size: { readonly width: number; readonly height: number },
    thumbnail: Promise<Blob>,
  ) {
    this.#view = view;
    this.#size = size;
    const { map } = view;
    const pane = map.createPane(PANE);
    // Just below the tiles.
    pane.style.zIndex = '190';
    pane.append(this.#image);
    this.#image.style.width = `${SIDE}px`;
    this.#image.style.height = `${SIDE}px`;
    void fill(this.#image, thumbnail);
    map.on('move zoom viewreset rebase', () => this.#place());
  }

  #place(): void {
    const { map, zoom, origin } = this.#view;
    const scale = 2 ** (zoom - origin.nativeZoom);
    const [width, height] = [this.#size.width * scale, this.#size.height * scale];
    this.#image.hidden = Math.max(width, height) > MAX_SIDE;
    if (this.#image.hidden) return;
    const corner = this.#view.containerPoint({ x: toFixed(0), y: toFixed(0) });
    const { x, y } = map.containerPointToLayerPoint(corner);
    this.#image.style.transform = `translate3d(${x}px, ${y}px, 0) scale(${width / SIDE}, ${height / SIDE})`;
  }
}
