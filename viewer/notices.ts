import { element } from './element.ts';

/** Short messages at the lower edge; each goes by itself, or when it is told to. */
export class Notices {
  readonly element = element('div', {
    class: 'notices',
    attributes: { role: 'status', 'aria-live': 'polite' },
  });

  /** `forMs` 0: until the function that comes back is called. */
  show(
    text: string,
    options: {
      readonly forMs?: number;
      readonly kind?: 'plain' | 'fault';
      readonly action?: { readonly name: string; readonly run: () => void };
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
          on: { click: action.run },
        }),
    );
    this.element.append(note);
    const close = () => note.remove();
    if (forMs > 0) setTimeout(close, forMs);
    return {
      update: (changed) => {
        if (words.textContent !== changed) words.textContent = changed;
      },
      close,
    };
  }
}
