import { GALLERY_PAGE } from '../../src/server/http/answer/gallery-page.ts';
import { element } from '../elements/element.ts';
import { fileButton } from '../elements/file-button.ts';
import { searchField } from '../elements/search-field.ts';
import { type ImageInfo, type ImageList, listImages, NoTileServer } from '../picture/api.ts';
import { factsOf } from '../picture/shown-picture.ts';
import { LazyThumbnails } from '../picture/thumbnail.ts';
import { factsLine } from './facts-line.ts';
import { PICTURES_TITLE, pageHeader } from './page-header.ts';

/** Most that the server lists at once. */
const LISTED = 1000;
/** After this long the page says that the list is loading. */
const SLOW_MS = 400;
/** Delay after the last scrolling before the history notes the place. */
const NOTED_AFTER_MS = 250;

/** Texts for codes of problems that stay with a file. Other problems pass. */
const FAULTS: Readonly<Record<string, string>> = {
  'damaged-file': 'the file is damaged.',
  'unsupported-file':
    'this server cannot decode the file: it is too large, of an unknown kind, or needs a model that is not here.',
};

export interface GalleryOptions {
  readonly onOpen: (id: string) => void;
  /** Takes files chosen by hand for the server. Dropped files do not pass through here. */
  readonly onFiles: (files: readonly File[]) => void;
  /** Opens the visitor's own .liif. */
  readonly onLocal: (file: File) => void;
}

/** Address of the page of a picture, from the root. */
export function viewAddress(id: string): string {
  return `view?id=${encodeURIComponent(id)}`;
}

interface Card {
  readonly version: string;
  readonly item: HTMLElement;
}

/** What the entry of the history keeps, so that a reload finds it. */
interface Place {
  readonly part: string;
  readonly listed: number;
  readonly top: number;
}

/**
 * Shows all pictures of the server. It keeps its list and the visitor's place while other pages are shown.
 */
export class Gallery {
  readonly #options: GalleryOptions;
  readonly #element: HTMLElement;
  readonly #grid = element('ul', { class: 'grid' });
  readonly #count = element('p', { class: 'count', attributes: { role: 'status' } });
  readonly #faults = element('div');
  /** Says why the list could not go on. */
  readonly #stopped = element('div');
  readonly #more = element('button', {
    class: 'text-button more',
    text: 'Show more',
    attributes: { type: 'button', hidden: true },
  });
  readonly #add: HTMLElement;
  readonly #search = searchField((part) => void this.#find(part).catch(() => location.reload()));
  readonly #thumbnails = new LazyThumbnails();
  readonly #cards = new Map<string, Card>();
  #images: readonly ImageInfo[] = [];
  #failed: ImageList['failed'] = [];
  #listed = 0;
  #listing: AbortController | undefined;
  #scroll = 0;
  /** The text in the search field: names have to contain it. */
  #part = '';
  #noteTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #noteSoon = () => {
    clearTimeout(this.#noteTimer);
    this.#noteTimer = setTimeout(() => this.#note(), NOTED_AFTER_MS);
  };
  #focused: HTMLElement | undefined;

  constructor(options: GalleryOptions) {
    this.#options = options;
    this.#more.addEventListener('click', () => void this.#showMore());
    this.#add = fileButton(
      'Add images',
      { id: 'add-images', accept: 'image/*,.liif', multiple: true },
      options.onFiles,
    );
    this.#add.hidden = true;
    this.#element = element(
      'div',
      { class: 'gallery' },
      pageHeader(
        [this.#count],
        [
          this.#search,
          fileButton(
            'Open a file',
            { id: 'open-file', accept: '.liif', multiple: false, plain: true },
            ([file]) => file && options.onLocal(file),
          ),
          this.#add,
        ],
      ),
      element('main', {}, this.#faults, this.#grid, this.#stopped, this.#more),
    );
  }

  /**
   * Fills `root` as the visitor has left it, then lists anew, since pictures may have come or gone. Rejects
   * with NoTileServer.
   */
  async show(root: HTMLElement): Promise<ImageList | undefined> {
    root.replaceChildren(this.#element);
    document.title = PICTURES_TITLE;
    scrollTo({ top: this.#scroll, behavior: 'instant' });
    this.#focused?.focus({ preventScroll: true });
    this.#focused = undefined;
    this.#thumbnails.start();
    addEventListener('scroll', this.#noteSoon, { passive: true });
    return this.#cards.size === 0 ? this.#restore() : this.refresh();
  }

  /** Restores list and place after a reload. */
  async #restore(): Promise<ImageList | undefined> {
    const { part, listed, top } = placeIn(history.state);
    this.#part = part;
    this.#search.value = part;
    const list = await this.#list(0, Math.max(GALLERY_PAGE, listed));
    if (list && this.#element.isConnected) scrollTo({ top, behavior: 'instant' });
    return list;
  }

  #note(): void {
    clearTimeout(this.#noteTimer);
    const gallery: Place = { part: this.#part, listed: this.#listed, top: scrollY };
    history.replaceState({ ...history.state, gallery }, '');
  }

  /** Lists pictures with `part` in their names. Rejects with NoTileServer. */
  async #find(part: string): Promise<void> {
    if (part === this.#part) return;
    this.#part = part;
    if (await this.#list(0, GALLERY_PAGE)) scrollTo({ top: 0, behavior: 'instant' });
    this.#noteSoon();
  }

  /** Lists anew as many as are shown. Rejects with NoTileServer. */
  refresh(): Promise<ImageList | undefined> {
    return this.#list(0, Math.max(GALLERY_PAGE, this.#listed));
  }

  /** Leaves the page. `show` can bring it back. */
  close(): void {
    removeEventListener('scroll', this.#noteSoon);
    clearTimeout(this.#noteTimer);
    this.#scroll = scrollY;
    const { activeElement } = document;
    if (activeElement instanceof HTMLElement && this.#element.contains(activeElement))
      this.#focused = activeElement;
    this.#listing?.abort();
    this.#listing = undefined;
    this.#thumbnails.stop();
    this.#element.remove();
  }

  async #showMore(): Promise<void> {
    if (this.#listing) return;
    const known = new Set(this.#cards.keys());
    await this.#list(this.#listed, GALLERY_PAGE).catch(() => {});
    this.#noteSoon();
    // The button has gone and took the focus with it: keys go on at the first new picture.
    const first = [...this.#cards].find(([id]) => !known.has(id))?.[1];
    if (this.#more.hidden && document.activeElement === document.body)
      first?.item.querySelector('a')?.focus({ preventScroll: true });
  }

  async #list(from: number, count: number): Promise<ImageList | undefined> {
    this.#listing?.abort();
    const listing = new AbortController();
    this.#listing = listing;
    const slow = setTimeout(() => this.#tellLoading(), SLOW_MS);
    try {
      const lists: ImageList[] = [];
      let at = from;
      let total = Number.POSITIVE_INFINITY;
      for (let asked: number; at < Math.min(total, from + count); at += asked) {
        asked = Math.min(LISTED, from + count - at);
        const list = await listImages(at, asked, listing.signal, this.#part);
        lists.push(list);
        total = list.total;
      }
      const before = from === 0 ? [] : [{ images: this.#images, failed: this.#failed }];
      this.#images = unlike([...before, ...lists].flatMap(({ images }) => images));
      this.#failed = unlike([...before, ...lists].flatMap(({ failed }) => failed));
      this.#listed = Math.min(at, total);
      const last = lists.at(-1)!;
      this.#render(last);
      return last;
    } catch (error) {
      if (error instanceof NoTileServer) throw error;
      if (!listing.signal.aborted)
        this.#tell(error as Error, () => void this.#list(from, count).catch(() => location.reload()));
      return undefined;
    } finally {
      clearTimeout(slow);
      if (this.#listing === listing) this.#listing = undefined;
    }
  }

  /** Says that the list is loading, where there is nothing to see yet. */
  #tellLoading(): void {
    if (this.#cards.size === 0) this.#count.textContent = 'Loading the list';
  }

  /** Says why the list ends here. */
  #tell({ message }: Error, again: () => void): void {
    this.#more.hidden = true;
    if (this.#cards.size === 0) this.#count.textContent = '';
    this.#stopped.replaceChildren(
      element(
        'div',
        { class: 'fault', attributes: { role: 'alert' } },
        `The pictures cannot be listed. ${message} `,
        element('button', {
          class: 'text-button',
          text: 'Try again',
          attributes: { type: 'button' },
          on: { click: again },
        }),
      ),
    );
  }

  #render({ total, pictures, upload }: ImageList): void {
    this.#stopped.replaceChildren();
    this.#faults.replaceChildren(
      ...this.#failed.map(({ title, code }) =>
        element('p', { class: 'fault', text: `${title}: ${FAULTS[code] ?? 'the file cannot be read now.'}` }),
      ),
    );
    this.#add.hidden = !upload;
    this.#more.hidden = this.#listed >= total;
    // With all pictures in sight there is nothing to search.
    this.#search.hidden = this.#part === '' && total <= GALLERY_PAGE;
    // An original stands behind the curtain of its picture.
    const originals = new Set(this.#images.map(({ original }) => original));
    this.#place(this.#images.filter(({ id }) => !originals.has(id)));
    const count = this.#more.hidden ? this.#cards.size : pictures - this.#failed.length;
    this.#count.textContent = count === 1 ? '1 picture' : `${count} pictures`;
    if (total === 0) this.#grid.replaceChildren(this.#part === '' ? empty(upload) : nothingFound());
  }

  /**
   * Puts the cards in order. Cards that are there already stay the same elements, since one may have the
   * focus.
   */
  #place(infos: readonly ImageInfo[]): void {
    const before = new Map(this.#cards);
    this.#cards.clear();
    for (const info of infos) {
      const { id, version } = info;
      const known = before.get(id);
      this.#cards.set(id, known?.version === version ? known : { version, item: this.#card(info) });
    }
    const items = new Set<Element>([...this.#cards.values()].map(({ item }) => item));
    for (const child of [...this.#grid.children]) if (!items.has(child)) child.remove();
    let next = this.#grid.firstElementChild;
    for (const item of items)
      if (item === next) next = next.nextElementSibling;
      else this.#grid.insertBefore(item, next);
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
            this.#focused = event.currentTarget as HTMLElement;
            this.#note();
            this.#options.onOpen(info.id);
          },
        },
      },
      this.#thumbnail(info),
      element(
        'span',
        { class: 'caption' },
        element('span', { class: 'name', text: info.title, attributes: { dir: 'auto', title: info.title } }),
        info.kind === 'liif' && element('span', { class: 'kind', text: 'LIIF' }),
        factsLine(factsOf(info)),
      ),
    );
    const item = element('li', {}, card);
    item.style.setProperty('--aspect', String(aspect));
    return item;
  }

  #thumbnail(info: ImageInfo): HTMLElement {
    const { width, height } = info;
    const image = element('img', { attributes: { alt: '', decoding: 'async', width, height } });
    this.#thumbnails.add(image, info);
    return element('span', { class: 'thumbnail' }, image);
  }
}

/** Removes repeated ids: the list may have shifted between two requests. */
function unlike<T extends { readonly id: string }>(entries: readonly T[]): readonly T[] {
  return [...new Map(entries.map((entry) => [entry.id, entry])).values()];
}

function placeIn(state: unknown): Place {
  const { gallery } = (state ?? {}) as { readonly gallery?: Place };
  return gallery ?? { part: '', listed: 0, top: 0 };
}

function nothingFound(): HTMLElement {
  return element('li', { class: 'empty' }, element('p', { text: 'No picture has this in its name.' }));
}

function empty(upload: boolean): HTMLElement {
  return element(
    'li',
    { class: 'empty' },
    element('p', {
      text: upload
        ? 'Nothing here yet. Drop an image to make the first picture.'
        : 'This server has no pictures yet. Encode one:',
    }),
    !upload && element('pre', { text: 'liif encode photo.jpg' }),
  );
}
