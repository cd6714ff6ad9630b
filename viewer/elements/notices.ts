import './notices.css';
import { onAbort } from '../../src/on-abort.ts';
import { element } from './element.ts';

/** Short messages at the lower edge of the window. Each goes after a time, or when it is closed. */
export class Notices {
  readonly element: HTMLElement;
  readonly #signal: AbortSignal | undefined;

  constructor(place = noticesElement(), signal?: AbortSignal) {
    this.element = place;
    this.#signal = signal;
  }

  /** Notices in the same place that go when `signal` is aborted, with the page that they belong to. */
  until(signal: AbortSignal): Notices {
    return new Notices(this.element, signal);
  }

  /** `forMs` 0: until `close` is called. */
  show(
    text: string,
    options: {
      readonly forMs?: number;
      readonly kind?: 'plain' | 'fault';
      /** A button, which closes the notice unless it `stays`. */
      readonly action?: { readonly name: string; readonly run: () => void; readonly stays?: boolean };
    } = {},
  ): { readonly update: (text: string) => void; readonly close: () => void } {
    const { forMs = 3500, kind = 'plain', action } = options;
    const words = element('span', { text });
    const note = element(
      'div',
      { class: `notice panel notice-${kind}` },
      words,
      action &&
        element('button', {
          class: 'text-button',
          text: action.name,
          attributes: { type: 'button' },
          on: {
            click: () => {
              if (!action.stays) close();
              action.run();
            },
          },
        }),
    );
    if (!this.#signal?.aborted) this.element.append(note);
    const close = () => {
      forget();
      note.remove();
    };
    const forget = onAbort(this.#signal, () => note.remove());
    if (forMs > 0) setTimeout(close, forMs);
    return {
      update: (changed) => {
        if (words.textContent !== changed) words.textContent = changed;
      },
      close,
    };
  }
}

function noticesElement(): HTMLElement {
  return element('div', {
    class: 'notices',
    attributes: { role: 'status', 'aria-live': 'polite' },
  });
}
