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

/** To all pictures. */
export function backLink(back: () => void): HTMLElement {
  const click = (event: Event) => {
    event.preventDefault();
    back();
  };
  return element('p', {}, element('a', { text: 'All pictures', attributes: { href: './' }, on: { click } }));
}
