import type { ListedPicture } from '../../src/cli/commands/viewer.ts';
import { sourceLink } from '../../src/cli/source-link.ts';
import { element } from '../elements/element.ts';
import { fileButton } from '../elements/file-button.ts';
import { searchField } from '../elements/search-field.ts';
import { factsOf } from '../picture/shown-picture.ts';
import { factsLine } from './facts-line.ts';
import { pageHeader } from './page-header.ts';

/** Longer lists have a search field. */
const MANY = 20;

/**
 * The first page of a host without a tile server. Pictures are opened by links, by hand, or by dropping them.
 */
export class StartPage {
  readonly #root: HTMLElement;
  readonly #list = element('ul', { class: 'start-list' });
  readonly #search = searchField((part) => this.#find(part));

  constructor(root: HTMLElement, onFile: (file: File) => void) {
    this.#root = root;
    void this.#load();
    root.replaceChildren(
      element(
        'div',
        { class: 'gallery' },
        pageHeader([], [this.#search]),
        element(
          'main',
          { class: 'start' },
          this.#list,
          element(
            'section',
            { class: 'start-drop' },
            element('h2', { text: 'Drop a .liif file here' }),
            element('p', { text: 'It is decoded in this browser and sent nowhere.' }),
            fileButton('Choose a file', { accept: '.liif', id: 'open-file', multiple: false }, ([file]) => {
              if (file) onFile(file);
            }),
            element(
              'p',
              { class: 'start-hint' },
              'Files beside this page open by address: ',
              element('code', { text: '?src=photo.liif' }),
            ),
          ),
        ),
      ),
    );
  }

  /** Lists what `liif viewer` has put beside the page. Other hosts have no list. */
  async #load(): Promise<void> {
    try {
      const response = await fetch(new URL('pictures.json', document.baseURI));
      if (!response.ok) return;
      const { pictures } = (await response.json()) as { readonly pictures: readonly ListedPicture[] };
      this.#list.append(...pictures.map(item));
      this.#search.hidden = pictures.length <= MANY;
    } catch {
      // No list, or another one.
    }
  }

  #find(part: string): void {
    const wanted = folded(part);
    for (const item of this.#list.children as HTMLCollectionOf<HTMLElement>)
      item.hidden = !folded(item.querySelector('.name')!.textContent!).includes(wanted);
  }

  close(): void {
    this.#root.replaceChildren();
  }
}

function folded(name: string): string {
  return name.normalize().toLowerCase();
}

function item(picture: ListedPicture): HTMLElement {
  const name = picture.file.replace(/\.liif$/i, '');
  return element(
    'li',
    {},
    element(
      'a',
      { attributes: { href: sourceLink(picture.file) } },
      thumbnail(picture),
      element('span', { class: 'name', text: name, attributes: { dir: 'auto', title: name } }),
      factsLine(factsOf(picture)),
    ),
  );
}

/** What `liif viewer` has made of the picture; lists of earlier versions have none. */
function thumbnail({ thumbnail: src, width, height }: ListedPicture): HTMLElement | undefined {
  if (src === undefined) return undefined;
  // Before `src`: otherwise the image would be fetched at once.
  const attributes = { loading: 'lazy', decoding: 'async', alt: '', width, height, src };
  return element('span', { class: 'thumbnail' }, element('img', { attributes }));
}
