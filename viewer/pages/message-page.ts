import { element } from '../elements/element.ts';

/** A page with words in place of a picture. `back` leads to all pictures. */
export function messagePage(
  title: string,
  words: readonly (Node | string | false)[],
  back: () => void,
): HTMLElement {
  document.title = `${title} – liif`;
  return element('main', { class: 'message' }, element('h1', { text: title }), ...words, backLink(back));
}

/** A button of such a page that tries again, or reloads. */
export function againButton(text: string, click: () => void): HTMLElement {
  return element('button', { class: 'primary again', text, attributes: { type: 'button' }, on: { click } });
}

/** A link to all pictures. */
export function backLink(back: () => void): HTMLElement {
  const click = (event: Event) => {
    event.preventDefault();
    back();
  };
  return element('p', {}, element('a', { text: 'All pictures', attributes: { href: './' }, on: { click } }));
}
