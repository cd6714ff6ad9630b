import { element } from '../elements/element.ts';
import { digitsFor, FRACTION_BITS, formatDecimal, type Position } from '../layer/position.ts';
import type { Sample, SampleWindow } from '../picture/shown-picture.ts';
import { retryDelay } from '../tiles/retry.ts';
import { TileError } from '../tiles/tile-source.ts';
import type { PictureMap } from './picture-map.ts';
import { RestingRequest } from './resting-request.ts';

/** Samples on a side of the grid; odd, so that one is in the middle. */
const SIDE = 9;
/** Samples fetched at once, around the grid. */
const FETCHED = 64;

/**
 * Shows exact samples of the picture around the pointer, or around the middle of the map where there is no
 * pointer. Past native scale it also shows the value that the network gives at the very point.
 */
export class Inspector {
  readonly element: HTMLElement;
  /** Marks the middle of the map while that is the point. */
  readonly crosshair = element('div', {
    class: 'crosshair',
    attributes: { 'aria-hidden': 'true', hidden: true },
  });
  readonly #picture: PictureMap;
  readonly #canvas: HTMLCanvasElement;
  readonly #pixel = element('dd');
  readonly #value = element('dd');
  readonly #pointValue = element('dd');
  readonly #swatch = element('span', { class: 'swatch' });
  readonly #pointRow: HTMLElement;
  #samples: Samples | undefined;
  /** The last pixel that was asked for by itself. */
  #alone: { readonly x: number; readonly y: number; readonly sample: Sample } | undefined;
  #loading: { readonly window: SampleWindow; readonly controller: AbortController } | undefined;
  readonly #valueRequest = new RestingRequest();
  readonly #sampleRequest = new RestingRequest();
  #failures = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(picture: PictureMap) {
    this.#picture = picture;
    this.#canvas = element('canvas', {
      attributes: { role: 'img', 'aria-label': 'Samples around the point' },
    });
    this.#pointRow = element('div', {}, element('dt', { text: 'At the point' }), this.#pointValue);
    this.element = element(
      'section',
      { class: 'inspector panel', attributes: { 'aria-label': 'Pixel inspector', hidden: true } },
      this.#canvas,
      element(
        'dl',
        {},
        element('div', {}, element('dt', { text: 'Pixel' }), this.#pixel),
        element('div', {}, element('dt', { text: 'RGB' }), this.#value),
        this.#pointRow,
      ),
    );
    const { map } = picture;
    map.on('move zoom moveend mouse', () => this.#update());
    map.on('unload', () => {
      clearTimeout(this.#retryTimer);
      this.#loading?.controller.abort();
      this.#valueRequest.cancel();
      this.#sampleRequest.cancel();
    });
  }

  get shown(): boolean {
    return !this.element.hidden;
  }

  set shown(shown: boolean) {
    this.element.hidden = !shown;
    if (!shown) this.crosshair.hidden = true;
    this.#update();
  }

  #update(): void {
    if (!this.shown) return;
    const { mouse, pointed: position, picture, screenExponent } = this.#picture;
    this.crosshair.hidden = mouse !== undefined;
    const x = Number(position.x >> BigInt(FRACTION_BITS));
    const y = Number(position.y >> BigInt(FRACTION_BITS));
    const { width, height } = picture.size;
    const inside = x >= 0 && y >= 0 && x < width && y < height;
    this.#pixel.textContent = inside ? `${x}, ${y}` : 'outside';
    const missing = inside && !this.#holds(this.#samples?.window, x, y);
    if (missing && !this.#holds(this.#loading?.window, x, y)) void this.#load(x, y);
    this.#sampleRequest.cancel();
    if (inside) this.#showSampleAt(x, y);
    else this.#value.textContent = '–';
    this.#draw(x, y);
    this.#showValueAt(inside && screenExponent > 0 ? position : undefined);
  }

  /** A sample that the canvas has rounded is asked for by itself once the pointer rests. */
  #showSampleAt(x: number, y: number): void {
    const sample = this.#sampleAt(x, y);
    if (!sample) {
      this.#value.textContent = '…';
      return;
    }
    const rounded = this.#samples!.rounded && sample[3] < 255;
    const { x: knownX, y: knownY, sample: known } = this.#alone ?? {};
    if (!rounded || (x === knownX && y === knownY)) {
      this.#showSample(rounded ? known! : sample);
      return;
    }
    this.#showSample(sample, 'about ');
    // At whole coordinates the value is the pixel's.
    this.#askAt(this.#sampleRequest, String(x), String(y), (sample) => {
      if (!sample) return;
      this.#alone = { x, y, sample };
      this.#showSample(sample);
    });
  }

  /** Asks for a value once the pointer rests. `show` gets undefined where it fails. */
  #askAt(request: RestingRequest, x: string, y: string, show: (value: Sample | undefined) => void): void {
    const { picture } = this.#picture;
    if (!picture.valueAt) return;
    request.ask(async (signal) => {
      try {
        show(await picture.valueAt!(x, y, signal));
        this.#failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        show(undefined);
        this.#tryLater(error);
      }
    });
  }

  #showSample(sample: Sample, about = ''): void {
    const [red, green, blue] = sample;
    this.#swatch.style.background = this.#colorOf([red, green, blue, 255]);
    this.#value.replaceChildren(this.#swatch, `${about}${valueText(sample)}`);
  }

  /** Asks for the value between samples, once the pointer rests. */
  #showValueAt(position: Position | undefined): void {
    const { picture, screenExponent } = this.#picture;
    this.#pointRow.hidden = position === undefined || !picture.valueAt || !picture.synthesizes;
    this.#valueRequest.cancel();
    if (this.#pointRow.hidden || !position) return;
    this.#pointValue.textContent = '…';
    const digits = Math.min(300, digitsFor(screenExponent) + 1);
    const [x, y] = [formatDecimal(position.x, digits), formatDecimal(position.y, digits)];
    this.#askAt(this.#valueRequest, x, y, (value) => {
      this.#pointValue.textContent = value ? valueText(value) : 'not available';
    });
  }

  #holds(window: SampleWindow | undefined, x: number, y: number): boolean {
    if (!window) return false;
    const { width, height } = this.#picture.picture.size;
    const half = (SIDE - 1) / 2;
    const covers = (at: number, start: number, length: number, side: number) =>
      Math.max(0, at - half) >= start && Math.min(side, at + half + 1) <= start + length;
    return covers(x, window.left, window.width, width) && covers(y, window.top, window.height, height);
  }

  async #load(x: number, y: number): Promise<void> {
    const { picture } = this.#picture;
    const start = (at: number, side: number) => Math.max(0, Math.min(side - FETCHED, at - FETCHED / 2));
    const { width, height } = picture.size;
    const window = {
      left: start(x, width),
      top: start(y, height),
      width: Math.min(FETCHED, width),
      height: Math.min(FETCHED, height),
    };
    this.#loading?.controller.abort();
    const controller = new AbortController();
    this.#loading = { window, controller };
    try {
      const source = await picture.samples(window, controller.signal);
      const pixels = await pixelsOf(source);
      if (controller.signal.aborted) return;
      this.#samples = { window, pixels, rounded: pixels !== source };
      this.#failures = 0;
    } catch (error) {
      if (controller.signal.aborted) return;
      this.#value.textContent = 'not available';
      this.#tryLater(error);
      return;
    } finally {
      if (this.#loading?.controller === controller) this.#loading = undefined;
    }
    this.#update();
  }

  /** Tries again after a while, even though nothing moves: the server may be back. */
  #tryLater(error: unknown): void {
    if (error instanceof TileError && error.permanent) return;
    clearTimeout(this.#retryTimer);
    this.#failures++;
    this.#retryTimer = setTimeout(() => this.#update(), retryDelay(error, this.#failures));
  }

  #sampleAt(x: number, y: number): Sample | undefined {
    if (!this.#samples) return undefined;
    const { window, pixels } = this.#samples;
    const column = x - window.left;
    const row = y - window.top;
    if (column < 0 || row < 0 || column >= window.width || row >= window.height) return undefined;
    const at = (row * pixels.width + column) * 4;
    return [...pixels.data.subarray(at, at + 4)] as unknown as Sample;
  }

  get #colorSpace(): PredefinedColorSpace {
    return this.#picture.picture.source.colorSpace ?? 'srgb';
  }

  #colorOf(sample: Sample): string {
    const [red, green, blue, alpha] = sample.map((value) => value / 255);
    return `color(${this.#colorSpace} ${red} ${green} ${blue} / ${alpha})`;
  }

  #draw(x: number, y: number): void {
    // As many pixels as on the screen, so that lines stay sharp.
    const side = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    if (this.#canvas.width !== side) {
      this.#canvas.width = side;
      this.#canvas.height = side;
    }
    const context = this.#canvas.getContext('2d', { colorSpace: this.#colorSpace })!;
    const cell = this.#canvas.width / SIDE;
    const half = (SIDE - 1) / 2;
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    for (let row = 0; row < SIDE; row++)
      for (let column = 0; column < SIDE; column++) {
        const sample = this.#sampleAt(x + column - half, y + row - half);
        if (!sample) continue;
        context.fillStyle = this.#colorOf(sample);
        context.fillRect(column * cell, row * cell, cell - 1, cell - 1);
      }
    // White on black, to be seen on any color.
    context.lineWidth = 4;
    context.strokeStyle = '#000';
    context.strokeRect(half * cell - 1, half * cell - 1, cell + 1, cell + 1);
    context.lineWidth = 2;
    context.strokeStyle = '#fff';
    context.strokeRect(half * cell - 1, half * cell - 1, cell + 1, cell + 1);
  }
}

/** Native pixels of a part of the picture. */
interface Samples {
  readonly window: SampleWindow;
  readonly pixels: ImageData;
  /** A canvas has multiplied colors by alpha and back, which rounds them where alpha is low. */
  readonly rounded: boolean;
}

/** The stored samples, not converted to the screen's colors. */
async function pixelsOf(source: ImageBitmapSource): Promise<ImageData> {
  if (source instanceof ImageData) return source;
  const bitmap = await createImageBitmap(source, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

function valueText([red, green, blue, alpha]: Sample): string {
  return `${red}, ${green}, ${blue}${alpha === 255 ? '' : `, alpha ${alpha}`}`;
}
