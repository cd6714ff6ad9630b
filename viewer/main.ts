import './style.css';
import { onAbort } from '../src/on-abort.ts';
import { listImages, NoTileServer, uploadImage } from './api.ts';
import { takeDrops } from './drop.ts';
import { element } from './element.ts';
import { Gallery, viewAddress } from './gallery.ts';
import { isLiif, LocalFiles, sourceAddress } from './local-files.ts';
import { Notices } from './notices.ts';
import { serverPicture } from './shown-picture.ts';
import { StartPage } from './start-page.ts';
import { applyTheme } from './theme.ts';

applyTheme();
const page = document.getElementById('page')!;
const notices = new Notices();
document.body.append(notices.element);
const localFiles = new LocalFiles();
let shown: { close(): void } | undefined;
let gallery: Gallery | undefined;
/** Whether the server takes images; undefined until it is known. */
let uploads: boolean | undefined;
let routing = new AbortController();
let place: string | undefined;

/** Shows what the address names. */
async function route(): Promise<void> {
  routing.abort();
  routing = new AbortController();
  const { signal } = routing;
  shown?.close();
  shown = undefined;
  gallery = undefined;
  place = placeOf();
  const query = new URLSearchParams(location.search);
  const file = localFiles.of(history.state);
  const source = query.get('src');
  const id = /\/view$/.test(location.pathname) ? query.get('id') : null;
  try {
    if (file) await showLocally(file, file.name.replace(/\.liif$/i, ''), signal);
    else if (source !== null) await showLocally(...sourceAddress(source), signal);
    else if (id !== null) {
      // Leaflet and all that stands on it come only with a picture.
      const [{ ViewPage }, picture] = await Promise.all([
        import('./view-page.ts'),
        serverPicture(id, signal),
      ]);
      if (!signal.aborted) shown = new ViewPage(page, picture, notices, back);
    } else await showGallery(signal);
  } catch (error) {
    if (!signal.aborted) fail(error as Error);
  }
}

async function showGallery(signal: AbortSignal): Promise<void> {
  const made = new Gallery(page, { onOpen: open, onFiles: (files) => void take(files), onLocal: openFile });
  gallery = made;
  shown = made;
  try {
    uploads = (await made.load())?.upload ?? uploads;
  } catch (error) {
    if (!(error instanceof NoTileServer)) throw error;
    if (signal.aborted) return;
    gallery = undefined;
    uploads = false;
    shown = new StartPage(page, openFile);
  }
}

/** A file that this browser decodes: an address, or one of the visitor's. */
async function showLocally(file: Blob | string, title: string, signal: AbortSignal): Promise<void> {
  const { LoadingPage } = await import('./loading-page.ts');
  if (signal.aborted) return;
  const loading = new LoadingPage(page, title);
  shown = loading;
  try {
    const [{ ViewPage }, { listenToDecoder, openPicture }] = await Promise.all([
      import('./view-page.ts'),
      import('./local-picture.ts'),
    ]);
    const listener = {
      progress: (loaded: number, total: number) => loading.progress(loaded, total),
      warning: (message: string) => notices.show(message, { forMs: 8000 }),
    };
    const picture = await openPicture(file, title, listener, signal);
    if (signal.aborted) {
      picture.close?.();
      return;
    }
    const view = new ViewPage(page, picture, notices, back);
    const forget = listenToDecoder({
      warning: listener.warning,
      failure: (error) => {
        const notice = notices.show(`The decoder has stopped. ${error.message}`, {
          forMs: 0,
          kind: 'fault',
          action: { name: 'Start it again', run: () => void route() },
        });
        onAbort(signal, notice.close);
      },
    });
    shown = {
      close() {
        forget();
        view.close();
        picture.close?.();
      },
    };
  } finally {
    loading.end();
  }
}

function open(id: string): void {
  history.pushState({ inside: true }, '', viewAddress(id));
  void route();
}

/** Opens a .liif of the visitor's; it stays in this browser. */
function openFile(file: File): void {
  history.pushState({ inside: true, file: localFiles.add(file) }, '', './');
  void route();
}

function back(): void {
  if ((history.state as { inside?: boolean } | null)?.inside) {
    history.back();
    return;
  }
  history.pushState(null, '', './');
  void route();
}

function fail(error: Error): void {
  shown = undefined;
  page.replaceChildren(
    element(
      'main',
      { class: 'message' },
      element('h1', { text: 'This picture cannot be shown' }),
      element('p', { text: error.message, attributes: { role: 'alert' } }),
      element('p', {}, element('a', { text: 'All pictures', attributes: { href: './' } })),
    ),
  );
}

/** Dropped or chosen: a .liif is opened here; other images go to the server, if it takes them. */
async function drop(files: readonly File[]): Promise<void> {
  const [first] = files;
  if (first && files.every(isLiif)) {
    openFile(first);
    await takesUploads();
    if (uploads)
      notices.show(`${first.name} is decoded here; nothing was sent.`, {
        forMs: 8000,
        action: { name: 'Add to the server', run: () => void take(files) },
      });
    return;
  }
  await takesUploads();
  if (uploads) await take(files);
  else
    notices.show(`${first?.name ?? 'This'} is not a .liif file, and no other images are taken here.`, {
      kind: 'fault',
      forMs: 8000,
    });
}

/** Sends files one after another and opens the last. */
async function take(files: readonly File[]): Promise<void> {
  let last: string | undefined;
  for (const file of files) {
    const controller = new AbortController();
    const notice = notices.show(`${file.name}: sending`, {
      forMs: 0,
      action: { name: 'Cancel', run: () => controller.abort() },
    });
    try {
      const info = await uploadImage(
        file,
        (stage, progress) => notice.update(`${file.name}: ${stage} ${Math.round(progress * 100)} %`),
        controller.signal,
      );
      last = info.id;
      notice.close();
      notices.show(`${file.name} is now ${info.title}.`);
    } catch (error) {
      notice.close();
      if (!controller.signal.aborted)
        notices.show(`${file.name}: ${(error as Error).message}`, { kind: 'fault', forMs: 10_000 });
    }
  }
  if (last === undefined) return;
  if (files.length === 1) open(last);
  else if (gallery) await gallery.reload();
}

async function takesUploads(): Promise<void> {
  uploads ??= (await listImages(0, 1).catch(() => undefined))?.upload ?? false;
}

/** What a page is of; changes of the hash alone are the page's own. */
function placeOf(): string {
  const { file } = (history.state ?? {}) as { readonly file?: number };
  return `${location.pathname}${location.search} ${file ?? ''}`;
}

takeDrops(
  () => {
    if (uploads === undefined) void takesUploads();
    return uploads ? 'Drop to add; a .liif is opened here' : 'Drop a .liif to open it';
  },
  (files) => void drop(files),
);
addEventListener('popstate', () => {
  if (placeOf() !== place || !shown) void route();
});
void route();
