import type { Plugin } from 'vite';

/**
 * A shader as it is shipped: without comments and most spaces, since every visitor of a page that decodes
 * fetches it.
 */
export function compact(wgsl: string): string {
  return (
    wgsl
      .replace(/\/\/.*/g, '')
      // Keeps spaces that part tokens: `- -` is not `--`, and `> =` behind a type is not `>=`.
      .replace(/\s*([,;:(){}*+]|(?<!>\s)=)\s*/g, '$1')
      .replace(/\s+/g, ' ')
      .trim()
  );
}

/** The same, for shaders that Vite bundles. */
export const compactShaders: Plugin = {
  name: 'compact-shaders',
  generateBundle(_, bundle) {
    for (const file of Object.values(bundle))
      if (file.type === 'asset' && file.fileName.endsWith('.wgsl'))
        file.source = compact(Buffer.from(file.source).toString());
  },
};
