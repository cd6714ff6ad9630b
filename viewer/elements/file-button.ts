import { element } from './element.ts';
import { icon } from './icons.ts';

/** A button that asks for files. It is a label around a real input, which keys and screen readers find. */
export function fileButton(
  name: string,
  options: {
    readonly id: string;
    readonly accept: string;
    readonly multiple: boolean;
    readonly plain?: boolean;
  },
  onFiles: (files: readonly File[]) => void,
): HTMLElement {
  const { id, accept, multiple, plain = false } = options;
  const input = element('input', {
    class: 'visually-hidden',
    attributes: { type: 'file', accept, multiple, id },
    on: {
      change: () => {
        onFiles([...(input.files ?? [])]);
        input.value = '';
      },
    },
  });
  return element(
    'label',
    { class: plain ? 'add add-plain' : 'add', attributes: { for: id, title: name } },
    icon(plain ? 'open' : 'upload'),
    element('span', { text: name }),
    input,
  );
}
