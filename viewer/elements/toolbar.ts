import { element } from './element.ts';
import { type IconName, icon } from './icons.ts';

/** A button with a drawing. Screen readers get its name, the tooltip name and key. */
export function iconButton(
  name: string,
  drawing: IconName,
  onClick: () => void,
  options: { readonly key?: string; readonly class?: string } = {},
): HTMLButtonElement {
  const { key } = options;
  return element(
    'button',
    {
      class: `icon-button ${options.class ?? ''}`.trim(),
      attributes: {
        type: 'button',
        'aria-label': name,
        title: key ? `${name} (${key})` : name,
        // In this attribute a plus sign joins keys that are pressed together.
        'aria-keyshortcuts': key === '+' ? 'Plus' : key,
      },
      on: { click: onClick },
    },
    icon(drawing),
  );
}
