import { element } from '../elements/element.ts';

/** Keys that are a single letter are for tools, which not every page has. */
const KEYS: readonly (readonly [keys: string, meaning: string])[] = [
  ['+ −', 'Zoom in and out; so do wheel, pinch and double click'],
  ['← ↑ → ↓', 'Move; further with Shift'],
  ['0', 'Whole picture'],
  ['1', 'Native scale: pixel for pixel'],
  ['C', 'Compare: a curtain, which arrows move while it has the focus'],
  ['I', 'Pixel inspector'],
  ['N', 'Navigator'],
  ['D', 'Decode here, in this browser, or on the server'],
  ['S', 'Save what is in view'],
  ['L', 'Copy a link to this view'],
  ['F', 'Full screen'],
  ['T', 'Light, dark, or as the system'],
  ['Esc', 'Close curtain and inspector'],
  ['?', 'This help'],
];

/** Lists the keys that do something on a page. `hasTool` tells whether it has the tool of a key. */
export function helpDialog(hasTool: (key: string) => boolean): HTMLDialogElement {
  return element(
    'dialog',
    { class: 'dialog panel', attributes: { 'aria-labelledby': 'help-title' } },
    // The heading takes the focus: a focused button at the end would scroll a low window there.
    element('h2', { text: 'Keys', attributes: { id: 'help-title', tabindex: -1, autofocus: true } }),
    element(
      'dl',
      { class: 'keys' },
      ...KEYS.filter(([keys]) => !/^[A-Z]$/.test(keys) || hasTool(keys)).map(([keys, meaning]) =>
        element(
          'div',
          {},
          element('dt', {}, ...keys.split(' ').map((each) => element('kbd', { text: each }))),
          element('dd', { text: meaning }),
        ),
      ),
    ),
    element(
      'form',
      { class: 'row row-end', attributes: { method: 'dialog' } },
      element('button', { class: 'primary', text: 'Close' }),
    ),
  );
}
