import './style.css';
import { onAbort } from '../src/on-abort.ts';
import { isLiif, type LocalFile, LocalFiles, localFileIn, sourceAddress } from './decoder/local-files.ts';
import { trustOwnScripts } from './decoder/trusted-types.ts';
import { takeDrops } from './elements/drop.ts';
import { Notices } from './elements/notices.ts';
import { applyTheme } from './elements/theme.ts';
import { failurePage } from './pages/failure-page.ts';
import { forgottenPage } from './pages/forgotten-page.ts';
import { Gallery, viewAddress } from './pages/gallery.ts';
import { LoadingPage } from './pages/loading-page.ts';
import { sendFile } from './pages/send-file.ts';
import { StartPage } from './pages/start-page.ts';
import type { ViewPage } from './pages/view-page.ts';
import { listImages, NoTileServer } from './picture/api.ts';
import { type CarriedView, carriedTo } from './picture/carried-view.ts';
import { formatHash } from './picture/permalink.ts';
import { type ShownPicture, serverPicture } from './picture/shown-picture.ts';

type PictureParts = typeof import('./pages/picture-parts.ts');

trustOwnScripts();
applyTheme();
const page = document.getElementById('page')!;
const notices = new Notices();
document.body.append(notices.element);
const localFiles = new LocalFiles();
let shown: { close(): void } | undefined;
let gallery: Gallery | undefined;
/** The page of `liif viewer` is marked: its host has files only, and no tile server to ask for a list. */
const filesOnly = document.documentElement.dataset.host === 'files';
/** Whether the server takes images; undefined until it is known. */
let uploads: boolean | undefined = filesOnly ? false : undefined;
let asking: Promise<boolean> | undefined;
let routing = new AbortController();
let place: string | undefined;
/** The file of the visitor that is shown. */
let shownFile: LocalFile | undefined;

/** What the address or the entry of the history names. Nothing named means all pictures. */
function wanted() {
  const query = new URLSearchParams(location.search);
  return {
    local: localFileIn(history.state),
    source: query.get('src'),
    id: /\/view$/.test(location.pathname) ? query.get('id') : null,
  };
}

function isGallery(): boolean {
  const { local, source, id } = wanted();
  return local === undefined && source === null && id === null;
}

/**
 * Shows what is wanted, a picture that is opened anew in `view`. Resolves with false where that fails or
 * something else is wanted meanwhile.
 */
async function route(view?: CarriedView): Promise<boolean> {
  routing.abort();
  routing = new AbortController();
  const { signal } = routing;
  shown?.close();
  shown = undefined;
  place = placeOf();
  const { local, source, id } = wanted();
  shownFile = local;
  try {
    if (local) await showOwn(local, signal);
    else if (source !== null) await showLocally(...sourceAddress(source), signal, view);
    else if (id !== null) await showServed(id, signal, view);
    else await showGallery(signal);
    return !signal.aborted;
  } catch (error) {
    if (!signal.aborted) page.replaceChildren(failurePage(error as Error, () => void route(view), back));
    return false;
  }
}

function viewPage({ ViewPage }: PictureParts, picture: ShownPicture, view: CarriedView | undefined) {
  if (view) {
    const hash = formatHash(carriedTo(picture.size, view), picture.size.nativeZoom);
    history.replaceState(history.state, '', hash);
  }
  const made = new ViewPage(page, picture, notices, { onBack: back, onReload: (view) => void route(view) });
  if (view?.isHome) made.picture.goHome();
  return made;
}

async function showGallery(signal: AbortSignal): Promise<void> {
  if (filesOnly) {
    shown = new StartPage(page, openFile);
    return;
  }
  gallery ??= new Gallery({ onOpen: open, onFiles: (files) => void take(files), onLocal: openFile });
  shown = gallery;
  try {
    uploads = (await gallery.show(page))?.upload ?? uploads;
  } catch (error) {
    if (!(error instanceof NoTileServer)) throw error;
    if (signal.aborted) return;
    uploads = false;
    shown = new StartPage(page, openFile);
  }
}

async function showOwn(local: LocalFile, signal: AbortSignal): Promise<void> {
  const file = localFiles.of(local);
  if (file) await showLocally(file, local.name.replace(/\.liif$/i, ''), signal);
  else page.replaceChildren(forgottenPage(local.name, openFile, back));
}

/** Shows that a picture is on its way while `open` opens it. */
async function whileLoading(title: string, open: (loading: LoadingPage) => Promise<void>): Promise<void> {
  const loading = new LoadingPage(page, title, back);
  shown = loading;
  await open(loading).finally(() => loading.end());
}

/** A picture of the server. */
function showServed(id: string, signal: AbortSignal, view?: CarriedView): Promise<void> {
  return whileLoading(id, async () => {
    const [parts, picture] = await Promise.all([
      import('./pages/picture-parts.ts'),
      serverPicture(id, signal),
    ]);
    if (!signal.aborted) shown = viewPage(parts, picture, view);
  });
}

/** A file that this browser decodes: one at an address, or the visitor's own. */
function showLocally(
  file: Blob | string,
  title: string,
  signal: AbortSignal,
  carried?: CarriedView,
): Promise<void> {
  return whileLoading(title, async (loading) => {
    const parts = await import('./pages/picture-parts.ts');
    let view: ViewPage | undefined;
    const listener = {
      progress: (loaded: number, total: number) => loading.progress(loaded, total),
      warning: (message: string) => notices.show(message, { forMs: 8000 }),
      // A picture that cannot be opened has a failure page instead.
      failure: (error: Error) => view && tellStopped(error, signal),
    };
    const picture = await parts.openPicture(file, title, listener, signal);
    if (signal.aborted) {
      picture.close?.();
      return;
    }
    view = viewPage(parts, picture, carried);
    shown = {
      close() {
        view?.close();
        picture.close?.();
      },
    };
  });
}

function tellStopped(error: Error, signal: AbortSignal): void {
  const notice = notices.show(`The decoder has stopped. ${error.message}`, {
    forMs: 0,
    kind: 'fault',
    action: { name: 'Start it again', run: () => void route() },
  });
  onAbort(signal, notice.close);
}

function open(id: string): void {
  enter(viewAddress(id));
  void route();
}

/** Opens the visitor's own .liif, which stays in this browser. */
function openFile(file: File): Promise<boolean> {
  enter('./', localFiles.add(file));
  return route();
}

/** Adds an entry to the history, which notes whether the entry before it shows all pictures. */
function enter(address: string, local?: LocalFile): void {
  history.pushState({ overGallery: isGallery(), ...local }, '', address);
}

/** Leads to all pictures. */
function back(): void {
  if ((history.state as { readonly overGallery?: boolean } | null)?.overGallery) {
    history.back();
    return;
  }
  history.pushState({}, '', './');
  void route();
}

/** Opens dropped .liif files here, and sends other images to the server if it takes them. */
async function drop(files: readonly File[]): Promise<void> {
  const own = files.filter(isLiif);
  const others = files.filter((file) => !isLiif(file));
  if (own.length > 0) void openFiles(own);
  if (own.length > 0 && others.length === 0) return;
  const fault = (text: string) => notices.show(text, { kind: 'fault', forMs: 8000 });
  const name = namesOf(others);
  const several = others.length > 1;
  try {
    if (await takesUploads()) await take(others, own.length === 0);
    else
      fault(
        `${name} ${several ? 'are not .liif files' : 'is not a .liif file'}, and no other images are taken here.`,
      );
  } catch (error) {
    fault(`${name} ${several ? 'were' : 'was'} not sent. ${(error as Error).message}`);
  }
}

function namesOf([first, ...others]: readonly File[]): string {
  const name = first?.name ?? 'This';
  if (others.length === 0) return name;
  return `${name} and ${others.length === 1 ? others[0]!.name : `${others.length} others`}`;
}

/** Opens the first file, and offers to open the others. */
async function openFiles([first, ...others]: readonly File[]): Promise<void> {
  const opening = openFile(first!);
  const own = notices.until(routing.signal);
  const [next] = others;
  if (next)
    own.show(
      others.length === 1 ? `${next.name} is not open yet.` : `${others.length} files are not open yet.`,
      {
        forMs: 0,
        action: {
          name: others.length === 1 ? 'Open it' : `Open ${next.name}`,
          run: () => void openFiles(others),
        },
      },
    );
  if (!(await opening)) return;
  if (!(await takesUploads().catch(() => false))) return;
  own.show(`${first!.name} is decoded here; nothing was sent.`, {
    forMs: 8000,
    action: { name: 'Add to the server', run: () => void take([first!]) },
  });
}

/**
 * Sends files one after another. A single file is then opened, if `mayOpen` and the visitor has not gone
 * elsewhere meanwhile.
 */
async function take(files: readonly File[], mayOpen = true): Promise<void> {
  const { signal } = routing;
  for (const file of files) {
    const info = await sendFile(file, notices);
    if (!info) continue;
    if (mayOpen && files.length === 1 && !signal.aborted) {
      notices.show(`${file.name} is now ${info.title}.`);
      open(info.id);
      return;
    }
    notices.show(`${file.name} is now ${info.title}.`, {
      forMs: 10_000,
      action: { name: 'Open', run: () => open(info.id) },
    });
  }
  if (shown === gallery) await gallery?.refresh();
}

/**
 * Whether the server takes images. Simultaneous calls share one request. Rejects with ServerError where there
 * is no answer; the next call asks again.
 */
function takesUploads(): Promise<boolean> {
  if (uploads !== undefined) return Promise.resolve(uploads);
  asking ??= askForUploads().finally(() => {
    asking = undefined;
  });
  return asking;
}

async function askForUploads(): Promise<boolean> {
  try {
    uploads = (await listImages(0, 1)).upload;
  } catch (error) {
    if (!(error instanceof NoTileServer)) throw error;
    uploads = false;
  }
  return uploads;
}

/** Identifies what a page shows. The hash is left out: the page itself follows its changes. */
function placeOf(): string {
  return `${location.pathname}${location.search} ${localFileIn(history.state)?.file ?? ''}`;
}

takeDrops({
  // A failure is reported when the files are dropped.
  onEnter: () => void takesUploads().catch(() => {}),
  describe: () => (uploads ? 'Drop to add; a .liif is opened here' : 'Drop a .liif to open it'),
  onFiles: (files) => void drop(files),
});
// Every entry that this page makes has a state.
history.replaceState(history.state ?? {}, '');
addEventListener('popstate', () => {
  // An entry made by editing the hash by hand has none; it shows the same file.
  if (history.state === null && shownFile) history.replaceState(shownFile, '');
  if (placeOf() !== place || !shown) void route();
});
void route();
