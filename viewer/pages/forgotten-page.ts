import { element } from '../elements/element.ts';
import { fileButton } from '../elements/file-button.ts';
import { messagePage } from './message-page.ts';

/** Shown after a reload, which forgets the file that the visitor had opened. */
export function forgottenPage(name: string, onFile: (file: File) => void, back: () => void): HTMLElement {
  return messagePage(
    `${name} is no longer open`,
    [
      element('p', {
        text: 'This page keeps none of your files: after a reload they have to be opened again. Drop the file here, or choose it.',
      }),
      fileButton(
        'Choose a file',
        { id: 'open-file', accept: '.liif', multiple: false },
        ([file]) => file && onFile(file),
      ),
    ],
    back,
  );
}
