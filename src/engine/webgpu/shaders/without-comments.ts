import type { Plugin } from 'vite';

/** A shader as it is shipped: every visitor of a page that decodes fetches it. */
export function withoutComments(wgsl: string): string {
  return wgsl
    .split('\n')
    .map((line) => line.replace(/\/\/.*/, '').trim())
    .filter((line) => line !== '')
    .join('\n');
}

/** The same for what Vite bundles. */
export const shadersWithoutComments: Plugin = {
  name: 'shaders-without-comments',
  generateBundle(_, bundle) {
    for (const file of Object.values(bundle))
      if (file.type === 'asset' && file.fileName.endsWith('.wgsl'))
        file.source = withoutComments(Buffer.from(file.source).toString());
  },
};
