import { element } from './element.ts';

const KEYS: readonly (readonly [string, string])[] = [
  ['+ −', 'Zoom in and out, also wheel, pinch, double click'],
  ['← ↑ → ↓', 'Move; with Shift, further'],
  ['0', 'Whole picture'],
  ['1', 'Pixel for pixel'],
  ['C', 'Compare with the curtain; arrows move it when it has the focus'],
  ['I', 'Pixel inspector'],
  ['N', 'Navigator'],
  ['D', 'Decode here, in the browser, or on the server'],
  ['S', 'Save what is in view'],
  ['L', 'Copy a link to this view'],
  ['F', 'Full screen'],
  ['T', 'Light, dark or as the system'],
  ['Esc', 'Close tools'],
  ['?', 'This help'],
];

export function helpDialog(): HTMLDialogElement {
  const dialog = element(
    'dialog',
    { class: 'dialog panel', attributes: { 'aria-labelledby': 'help-title' } },
    // It takes the focus: with that of the button below, a low window would begin with the end.
    element('h2', { text: 'Keys', attributes: { id: 'help-title', tabindex: -1, autofocus: true } }),
    element(
      'dl',
      { class: 'keys' },
      ...KEYS.map(([key, meaning]) =>
        element(
          'div',
          {},
          element('dt', {}, element('kbd', { text: key })),
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
  return dialog;
}
