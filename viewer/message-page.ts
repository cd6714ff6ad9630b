import { element } from './element.ts';

/** A page that says something instead of showing a picture; `back` leads to all pictures. */
export function messagePage(
  title: string,
  words: readonly (Node | string | false)[],
  back: () => void,
): HTMLElement {
  document.title = `${title} – liif`;
  return element('main', { class: 'message' }, element('h1', { text: title }), ...words, backLink(back));
}

/** Tries again what such a page waits for, or has given up. */
export function againButton(text: string, click: () => void): HTMLElement {
  return element('button', { class: 'primary again', text, attributes: { type: 'button' }, on: { click } });
}

/** To all pictures. */
export function backLink(back: () => void): HTMLElement {
  const click = (event: Event) => {
    event.preventDefault();
    back();
  };
  return element('p', {}, element('a', { text: 'All pictures', attributes: { href: './' }, on: { click } }));
}
