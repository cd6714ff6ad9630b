import { element } from './element.ts';

export interface DropOptions {
  /** Called when files are first dragged over the page. */
  readonly onEnter: () => void;
  /** Says what a drop would do. */
  readonly describe: () => string;
  readonly onFiles: (files: readonly File[]) => void;
}

/** Takes files that are dropped anywhere on the page. */
export function takeDrops({ onEnter, describe, onFiles }: DropOptions): void {
  const veil = element(
    'div',
    { class: 'drop-veil', attributes: { hidden: true, 'aria-hidden': 'true' } },
    element('p'),
  );
  document.body.append(veil);
  // dragleave comes for each element under the pointer, so the veil goes when dragover has stopped for a
  // while.
  let timer: ReturnType<typeof setTimeout> | undefined;
  const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
  addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    if (veil.hidden) onEnter();
    const words = describe();
    event.dataTransfer!.dropEffect = 'copy';
    veil.firstElementChild!.textContent = words;
    veil.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(() => {
      veil.hidden = true;
    }, 300);
  });
  addEventListener('drop', (event) => {
    veil.hidden = true;
    if (!carriesFiles(event)) return;
    event.preventDefault();
    onFiles([...event.dataTransfer!.files]);
  });
}
