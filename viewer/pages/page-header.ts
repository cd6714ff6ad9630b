import { element } from '../elements/element.ts';
import { nextTheme } from '../elements/theme.ts';
import { iconButton } from '../elements/toolbar.ts';

/** Title of the pages that list pictures. */
export const PICTURES_TITLE = 'Pictures – liif';

/**
 * Makes the head of a page that lists pictures, and sets the title. `below` stands under the heading,
 * `actions` beside the button for light and dark.
 */
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
