import type { Plugin } from 'vite';

/** A shader as it is shipped, without comments and most spaces: every visitor of a page that decodes fetches it. */
export function compact(wgsl: string): string {
  return (
    wgsl
      .replace(/\/\/.*/g, '')
      // Not around what another space away would be another token: `- -`, or `> =` behind a type.
      .replace(/\s*([,;:(){}*+]|(?<!>\s)=)\s*/g, '$1')
      .replace(/\s+/g, ' ')
      .trim()
  );
}

/** The same for what Vite bundles. */
export const compactShaders: Plugin = {
  name: 'compact-shaders',
  generateBundle(_, bundle) {
    for (const file of Object.values(bundle))
      if (file.type === 'asset' && file.fileName.endsWith('.wgsl'))
        file.source = compact(Buffer.from(file.source).toString());
  },
};
