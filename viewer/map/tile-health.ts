import { element } from '../elements/element.ts';
import type { Notices } from '../elements/notices.ts';
import type { LiifLayer } from '../layer/liif-layer.ts';

const SHOW_AFTER_MS = 150;

/** Shows a bar while tiles are loading, and a notice while they fail. */
export class TileHealth {
  readonly element: HTMLElement;
  readonly #bar = element('div', { class: 'progress-bar' });
  readonly #notices: Notices;
  readonly #replaced: AbortSignal;
  readonly #layers = new Set<LiifLayer>();
  #notice: ReturnType<Notices['show']> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Once the picture is `replaced`, failing tiles are not reported: trying again is of no use. */
  constructor(notices: Notices, replaced: AbortSignal) {
    this.#notices = notices;
    this.#replaced = replaced;
    this.element = element(
      'div',
      {
        class: 'progress',
        attributes: {
          role: 'progressbar',
          'aria-label': 'Loading',
          'aria-valuemin': 0,
          'aria-valuemax': 100,
          hidden: true,
        },
      },
      this.#bar,
    );
  }

  watch(layer: LiifLayer): void {
    this.#layers.add(layer);
    layer.on('tilestatus', () => this.#show());
    this.#show();
  }

  forget(layer: LiifLayer): void {
    this.#layers.delete(layer);
    this.#show();
  }

  #show(): void {
    let loading = 0;
    let failing = 0;
    let loaded = 0;
    let reason: string | undefined;
    for (const { status } of this.#layers) {
      loading += status.loading;
      failing += status.failing;
      loaded += status.loaded;
      reason ??= status.reason;
    }
    const percent = Math.round((100 * loaded) / Math.max(1, loaded + loading));
    this.element.setAttribute('aria-valuenow', String(percent));
    this.#bar.style.transform = `scaleX(${percent / 100})`;
    const awaited = this.#replaced.aborted ? loading - failing : loading;
    if (awaited === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.element.hidden = true;
    }
    // Tiles that come at once need no bar.
    else
      this.#timer ??= setTimeout(() => {
        this.element.hidden = false;
      }, SHOW_AFTER_MS);
    if (failing === 0 || this.#replaced.aborted) {
      this.#notice?.close();
      this.#notice = undefined;
      return;
    }
    const text = `${failing} ${failing === 1 ? 'tile has' : 'tiles have'} failed. ${reason ?? ''}`.trim();
    if (this.#notice) this.#notice.update(text);
    else
      this.#notice = this.#notices.show(text, {
        forMs: 0,
        kind: 'fault',
        action: { name: 'Try again', run: () => this.#retry(), stays: true },
      });
  }

  #retry(): void {
    for (const layer of this.#layers) layer.retry();
  }
}
