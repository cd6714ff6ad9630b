import { addressOf, type ImageInfo, type ImageList, listImages, NoTileServer } from './api.ts';
import { element } from './element.ts';
import { fileButton } from './file-button.ts';
import { pageHeader } from './page-header.ts';
import { factsOf } from './shown-picture.ts';
import { LazyThumbnails } from './thumbnail.ts';

/** Pictures that are asked for at once. */
const PAGE = 120;

/** What codes of problems say of a file; others pass. */
const FAULTS: Readonly<Record<string, string>> = {
  'damaged-file': 'the file is damaged.',
  'unsupported-file': 'the image is too large for this server, or of a kind that it does not read.',
};

export interface GalleryOptions {
  readonly onOpen: (id: string) => void;
  /** Files chosen by hand for the server; dropped ones come another way. */
  readonly onFiles: (files: readonly File[]) => void;
  /** A .liif of the visitor's, to look at. */
  readonly onLocal: (file: File) => void;
}

/** Address of the page of a picture, from the root. */
export function viewAddress(id: string): string {
  return `view?id=${encodeURIComponent(id)}`;
}

/** All pictures of the server. */
export class Gallery {
  readonly #root: HTMLElement;
  readonly #options: GalleryOptions;
  readonly #grid = element('ul', { class: 'grid' });
  readonly #count = element('p', { class: 'count', attributes: { role: 'status' } });
  readonly #faults = element('div', { class: 'faults' });
  readonly #more = element('button', {
    class: 'text-button more',
    text: 'Show more',
    attributes: { type: 'button', hidden: true },
  });
  readonly #add = element('span');
  readonly #closing = new AbortController();
  readonly #thumbnails = new LazyThumbnails(this.#closing.signal);
  readonly #originals = new Set<string>();
  #listed = 0;

  constructor(root: HTMLElement, options: GalleryOptions) {
    this.#root = root;
    this.#options = options;
    this.#more.addEventListener('click', () => void this.load().catch(() => {}));
    root.replaceChildren(
      element(
        'div',
        { class: 'gallery' },
        pageHeader(
          [this.#count],
          [
            fileButton(
              'Open a file',
              { id: 'open-file', accept: '.liif', multiple: false, plain: true },
              ([file]) => file && options.onLocal(file),
            ),
            this.#add,
          ],
        ),
        element('main', {}, this.#faults, this.#grid, this.#more),
      ),
    );
  }

  /** Lists the next pictures. Rejects with NoTileServer. */
  async load(): Promise<ImageList | undefined> {
    const { signal } = this.#closing;
    this.#more.disabled = true;
    try {
      const list = await listImages(this.#listed, PAGE, signal);
      this.#show(list);
      return list;
    } catch (error) {
      if (error instanceof NoTileServer) throw error;
      if (signal.aborted) return undefined;
      this.#faults.replaceChildren(
        element(
          'div',
          { class: 'fault', attributes: { role: 'alert' } },
          `The pictures cannot be listed. ${(error as Error).message} `,
          element('button', {
            class: 'text-button',
            text: 'Try again',
            attributes: { type: 'button' },
            on: { click: () => void this.load().catch(() => location.reload()) },
          }),
        ),
      );
      return undefined;
    } finally {
      this.#more.disabled = false;
    }
  }

  /** Lists all anew, after an upload. */
  async reload(): Promise<void> {
    this.#listed = 0;
    this.#originals.clear();
    this.#grid.replaceChildren();
    await this.load();
  }

  close(): void {
    this.#closing.abort();
    this.#root.replaceChildren();
  }

  #show({ images, failed, total, upload }: ImageList): void {
    this.#faults.replaceChildren(
      ...failed.map(({ title, code }) =>
        element('p', { class: 'fault', text: `${title}: ${FAULTS[code] ?? 'the file cannot be read now.'}` }),
      ),
    );
    this.#listed += images.length + failed.length;
    // An original stands behind the curtain of its picture.
    for (const { original } of images) if (original !== undefined) this.#originals.add(original);
    const cards = images.filter(({ id }) => !this.#originals.has(id)).map((info) => this.#card(info));
    this.#grid.append(...cards);
    const pictures = total - this.#originals.size;
    this.#count.textContent = pictures === 1 ? '1 picture' : `${pictures} pictures`;
    this.#more.hidden = this.#listed >= total;
    this.#add.replaceChildren(upload ? this.#uploadButton() : '');
    if (total > 0) return;
    this.#grid.replaceChildren(
      element(
        'li',
        { class: 'empty' },
        element('p', {
          text: upload
            ? 'Nothing here yet. Drop an image to make the first picture.'
            : 'There are no pictures in what this server was given. Encode one:',
        }),
        !upload && element('pre', { text: 'liif encode photo.jpg' }),
      ),
    );
  }

  #card(info: ImageInfo): HTMLElement {
    const aspect = Math.min(3, Math.max(0.4, info.width / info.height));
    const card = element(
      'a',
      {
        class: 'card',
        attributes: { href: viewAddress(info.id) },
        on: {
          click: (event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
            event.preventDefault();
            this.#options.onOpen(info.id);
          },
        },
      },
      this.#thumbnail(info),
      element(
        'span',
        { class: 'caption' },
        element('span', { class: 'name', text: info.title }),
        info.kind === 'liif' && element('span', { class: 'kind', text: 'LIIF' }),
        element('span', { class: 'facts', text: factsOf(info) }),
      ),
    );
    const item = element('li', {}, card);
    item.style.setProperty('--aspect', String(aspect));
    return item;
  }

  #thumbnail({ thumbnail, width, height }: ImageInfo): HTMLElement {
    const image = element('img', { attributes: { alt: '', decoding: 'async', width, height } });
    this.#thumbnails.add(image, addressOf(thumbnail));
    return element('span', { class: 'thumbnail' }, image);
  }

  #uploadButton(): HTMLElement {
    return fileButton(
      'Add images',
      { id: 'add-images', accept: 'image/*,.liif', multiple: true },
      this.#options.onFiles,
    );
  }
}
