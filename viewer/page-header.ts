import { element } from './element.ts';
import { nextTheme } from './theme.ts';
import { iconButton } from './toolbar.ts';

/** Head of the pages that lead to pictures, and their title: `below` stands under the heading, `actions` beside the switch of light and dark. */
export function pageHeader(below: readonly Node[] = [], actions: readonly Node[] = []): HTMLElement {
  document.title = 'Pictures – liif';
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
