import { element } from '../elements/element.ts';

/** Tools that not every page of a picture has. */
export interface PageTools {
  readonly curtain: boolean;
  readonly navigator: boolean;
  /** Whether the page has the switch "Decode here". */
  readonly decoding: boolean;
  readonly link: boolean;
}

const KEYS: readonly (readonly [key: string, meaning: string, tool?: keyof PageTools])[] = [
  ['+ −', 'Zoom in and out; so do wheel, pinch and double click'],
  ['← ↑ → ↓', 'Move; further with Shift'],
  ['0', 'Whole picture'],
  ['1', 'Native scale: pixel for pixel'],
  ['C', 'Compare: a curtain, which arrows move while it has the focus', 'curtain'],
  ['I', 'Pixel inspector'],
  ['N', 'Navigator', 'navigator'],
  ['D', 'Decode here, in this browser, or on the server', 'decoding'],
  ['S', 'Save what is in view'],
  ['L', 'Copy a link to this view', 'link'],
  ['F', 'Full screen'],
  ['T', 'Light, dark, or as the system'],
  ['Esc', 'Close curtain and inspector'],
  ['?', 'This help'],
];

/** Lists the keys that do something on a page with these tools. */
export function helpDialog(tools: PageTools): HTMLDialogElement {
  const dialog = element(
    'dialog',
    { class: 'dialog panel', attributes: { 'aria-labelledby': 'help-title' } },
    // The heading takes the focus: a focused button at the end would scroll a low window there.
    element('h2', { text: 'Keys', attributes: { id: 'help-title', tabindex: -1, autofocus: true } }),
    element(
      'dl',
      { class: 'keys' },
      ...KEYS.filter(([, , tool]) => tool === undefined || tools[tool]).map(([key, meaning]) =>
        element(
          'div',
          {},
          element('dt', {}, ...key.split(' ').map((each) => element('kbd', { text: each }))),
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
