import { element } from './element.ts';

/** Typing counts as ended after this long. */
const SETTLED_AFTER_MS = 200;

/**
 * A field for a part of the names of pictures, hidden at first. `onChange` gets its text when typing has
 * ended.
 */
export function searchField(onChange: (part: string) => void): HTMLInputElement {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tell = () => {
    clearTimeout(timer);
    onChange(field.value.trim());
  };
  const field = element('input', {
    class: 'search',
    attributes: { type: 'search', 'aria-label': 'Find pictures', placeholder: 'Find', hidden: true },
    on: {
      input: () => {
        clearTimeout(timer);
        timer = setTimeout(tell, SETTLED_AFTER_MS);
      },
      change: tell,
    },
  });
  return field;
}
