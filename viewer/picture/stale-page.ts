/**
 * Says why only a reload can help, where that is so. Parts of the page are fetched when they are needed, and
 * are gone once the host has the next version.
 */
export function stalePage(error: Error): string | undefined {
  const { message } = error;
  if (PART_MISSING.test(message))
    return 'A part of this page cannot be fetched: its host cannot be reached, or has another version of the page by now.';
  if ((error as { readonly tag?: string }).tag === 'FormatError' && message.startsWith('model at '))
    return 'The weights of the decoder are damaged, or of another version of the page.';
  return undefined;
}

/** Messages of browsers and of `liif/browser`. */
const PART_MISSING =
  /dynamically imported module|importing a module|preload CSS|(decoder|script) cannot be loaded|\.wasm: (the answer is|Failed to fetch|NetworkError|Load failed)/i;
