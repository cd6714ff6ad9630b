import { element } from './element.ts';
import { nextTheme } from './theme.ts';
import { iconButton } from './toolbar.ts';

/** Title of the pages that lead to pictures. */
export const PICTURES_TITLE = 'Pictures – liif';

/** Head of the pages that lead to pictures, and their title: `below` stands under the heading, `actions` beside the switch of light and dark. */
export function pageHeader(below: readonly Node[] = [], actions: readonly Node[] = []): HTMLElement {
  document.title = PICTURES_TITLE;
  return element(
    'header',
    {},
    element('div', {}, element('h1', { text: 'Pictures' }), ...below),
    element(
      'div',
      { class: 'row' },
      ...actions,
      iconButton('Light or dark', 'theme', () => void nextTheme()),
    ),
  );
}
