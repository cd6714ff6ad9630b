import './style.css';
import { listImages, uploadImage } from './api.ts';
import { takeDrops } from './drop.ts';
import { element } from './element.ts';
import { Gallery, viewAddress } from './gallery.ts';
import { Notices } from './notices.ts';
import { serverPicture } from './shown-picture.ts';
import { applyTheme } from './theme.ts';

applyTheme();
const page = document.getElementById('page')!;
const notices = new Notices();
document.body.append(notices.element);
let shown: { close(): void } | undefined;
let gallery: Gallery | undefined;
let uploads: boolean | undefined;
let wanted = 0;

/** Shows what the address names. */
async function route(): Promise<void> {
  const turn = ++wanted;
  shown?.close();
  shown = undefined;
  gallery = undefined;
  const id = /\/view$/.test(location.pathname) ? new URLSearchParams(location.search).get('id') : null;
  if (id === null) {
    gallery = new Gallery(page, { onOpen: open, onFiles: (files) => void take(files) });
    shown = gallery;
    uploads = (await gallery.load())?.upload ?? uploads;
    return;
  }
  try {
    // Leaflet and all that stands on it come only with a picture.
    const [{ ViewPage }, picture] = await Promise.all([import('./view-page.ts'), serverPicture(id)]);
    if (turn !== wanted) return;
    shown = new ViewPage(page, picture, back);
  } catch (error) {
    if (turn === wanted) fail(error as Error);
  }
}

function open(id: string): void {
  history.pushState({ inside: true }, '', viewAddress(id));
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
  uploads ??= (await listImages(0, 1).catch(() => undefined))?.upload;
}

takeDrops(
  () => {
    if (uploads === undefined) void takesUploads();
    return uploads ? 'Drop to add' : undefined;
  },
  (files) => void take(files),
);
addEventListener('popstate', (event) => {
  // Changes of the hash alone are the page's own.
  if (event.state !== null || !/\/view$/.test(location.pathname) || !shown) void route();
});
void route();
