import { element } from './element.ts';
import { fileButton } from './file-button.ts';
import { nextTheme } from './theme.ts';
import { iconButton } from './toolbar.ts';

/** Where there is no tile server: pictures are opened by a link, by hand, or by dropping them. */
export class StartPage {
  readonly #root: HTMLElement;

  constructor(root: HTMLElement, onFile: (file: File) => void) {
    this.#root = root;
    document.title = 'liif';
    root.replaceChildren(
      element(
        'div',
        { class: 'gallery' },
        element(
          'header',
          {},
          element('h1', { text: 'Pictures' }),
          iconButton('Light or dark', 'theme', () => void nextTheme()),
        ),
        element(
          'main',
          { class: 'start' },
          element('h2', { text: 'Open a .liif file' }),
          element('p', {
            text: 'Drop it on this page, or choose it. It is decoded in this browser; nothing is sent anywhere.',
          }),
          fileButton('Choose a file', { accept: '.liif', id: 'open-file', multiple: false }, ([file]) => {
            if (file) onFile(file);
          }),
          element(
            'p',
            { class: 'start-hint' },
            'Files on this host open by address: ',
            element('code', { text: '?src=photo.liif' }),
          ),
        ),
      ),
    );
  }

  close(): void {
    this.#root.replaceChildren();
  }
}
