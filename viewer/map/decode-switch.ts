import type { DecodedPicture, DecodingListener } from '../decoder/local-decoder.ts';
import { decodedHere, engineText, openLocally } from '../decoder/local-picture.ts';
import { element } from '../elements/element.ts';
import { keepChoice, keptChoice } from '../elements/kept-choice.ts';
import type { Notices } from '../elements/notices.ts';
import type { Decoding } from '../picture/permalink.ts';
import type { ShownPicture } from '../picture/shown-picture.ts';
import { stalePage } from '../picture/stale-page.ts';
import type { PictureMap } from './picture-map.ts';

const KEY = 'liif-decode-here';

export interface DecodeSwitchOptions {
  readonly notices: Notices;
  /** Called after each switch, by hand or by a failure. */
  readonly onChange: () => void;
}

/**
 * The switch between decoding by the server and by this browser. Beside it stands what decodes, or the
 * progress while the decoder loads. When the decoder fails, the server takes over, and a notice says so.
 */
export class DecodeSwitch {
  readonly element: HTMLElement;
  readonly #picture: PictureMap;
  readonly #fromServer: ShownPicture;
  readonly #options: DecodeSwitchOptions;
  readonly #button: HTMLButtonElement;
  readonly #state = element('span', { class: 'decoding-state', attributes: { id: 'decoding-state' } });
  #decoding: Decoding | undefined;
  #loading: AbortController | undefined;
  #decoded: DecodedPicture | undefined;

  /** `picture` has to show a picture of a server that has a `file`. */
  constructor(picture: PictureMap, options: DecodeSwitchOptions) {
    this.#picture = picture;
    this.#fromServer = picture.picture;
    this.#options = options;
    this.#button = element(
      'button',
      {
        class: 'switch',
        attributes: {
          type: 'button',
          role: 'switch',
          'aria-checked': 'false',
          'aria-labelledby': 'decoding-name',
          'aria-describedby': 'decoding-state',
          'aria-keyshortcuts': 'D',
          title: 'Decode here, in this browser, instead of on the server (D)',
        },
        on: { click: () => this.toggle() },
      },
      element(
        'span',
        {},
        element('span', { class: 'switch-name', text: 'Decode here', attributes: { id: 'decoding-name' } }),
        this.#state,
      ),
      element('span', { class: 'switch-track', attributes: { 'aria-hidden': 'true' } }),
    );
    this.element = element('div', { class: 'decoding' }, this.#button);
    this.#describe();
  }

  /** The choice, for links. */
  get decoding(): Decoding | undefined {
    return this.#decoding;
  }

  /** Switches by hand. The choice is remembered for the next picture. */
  toggle(): void {
    const decoding = this.#decoding === undefined ? 'here' : undefined;
    remember(decoding !== undefined);
    this.set(decoding);
    this.#options.onChange();
  }

  set(decoding: Decoding | undefined): void {
    if (decoding === this.#decoding) return;
    this.#decoding = decoding;
    this.#button.setAttribute('aria-checked', String(decoding !== undefined));
    if (this.#decoded) this.#picture.show(this.#fromServer);
    this.#stop();
    this.#describe();
    if (decoding !== undefined) void this.#start(decoding);
  }

  close(): void {
    this.#stop();
  }

  async #start(decoding: Decoding): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    this.#loading = controller;
    const { notices } = this.#options;
    try {
      const { file, edition } = this.#fromServer;
      const listener: DecodingListener = {
        progress: (loaded, total) =>
          this.#describe(loaded < total ? `Loading, ${Math.floor((100 * loaded) / total)} %` : 'Starting'),
        warning: (message) => notices.show(message, { forMs: 8000 }),
        failure: (error) => this.#fail(error),
      };
      const decoded = await openLocally(file!, decoding, { signal, edition, listener });
      if (signal.aborted) {
        decoded.close();
        return;
      }
      this.#decoded = decoded;
      this.#picture.show(decodedHere(decoded, this.#fromServer.title, this.#fromServer));
      this.#describe(engineText(decoded.engine));
      notices.show(`Decoded here: ${engineText(decoded.engine)}.`);
    } catch (error) {
      if (!signal.aborted) this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    if (this.#decoding === undefined) return;
    this.set(undefined);
    this.#options.onChange();
    // The page itself reports a replaced picture.
    if (this.#fromServer.edition.replaced.aborted) return;
    // The next picture must not try it unasked either: with the switch off already, nobody could switch it
    // off.
    remember(false);
    const stale = stalePage(error);
    const again = () => {
      if (stale === undefined) return this.toggle();
      remember(true);
      location.reload();
    };
    this.#options.notices.show(
      stale === undefined
        ? `This browser cannot decode the picture; the server does. ${error.message}`
        : `${stale} The server decodes the picture.`,
      {
        forMs: 15_000,
        kind: 'fault',
        action: { name: stale === undefined ? 'Try again' : 'Reload the page', run: again },
      },
    );
  }

  #stop(): void {
    this.#loading?.abort();
    this.#loading = undefined;
    this.#decoded?.close();
    this.#decoded = undefined;
  }

  #describe(text = this.#decoding === undefined ? 'By the server' : 'Loading'): void {
    this.#state.textContent = text;
  }
}

/** Whether the visitor last chose to decode here. */
export function decodesHere(): boolean {
  return keptChoice(KEY) === 'yes';
}

function remember(here: boolean): void {
  keepChoice(KEY, here ? 'yes' : null);
}
