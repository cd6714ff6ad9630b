import type { Plugin, Rolldown } from 'vite';

/**
 * Writes two more pages beside `index.html`, which shows the gallery of a tile server. Both name the files
 * that show a picture, so that browsers fetch them together with the first script instead of after it has
 * run.
 *
 * - `view.html`: one picture of a tile server
 * - `files/index.html`: all pages of a host of plain files, where the browser decodes; it goes into the
 *   parent folder
 */
export function picturePages(): Plugin {
  return {
    name: 'picture-pages',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const page = String((bundle['index.html'] as Rolldown.OutputAsset).source);
      const parts = partsIn(bundle);
      const decoder = Object.keys(bundle).filter((name) => /\/decoder-worker-[^/]+\.js$/.test(name));
      this.emitFile({ type: 'asset', fileName: 'view.html', source: withHints(page, parts) });
      this.emitFile({
        type: 'asset',
        fileName: 'files/index.html',
        // The worker finds its script in the browser's cache.
        source: withHints(forFiles(page), [...parts, ...decoder]),
      });
    },
  };
}

/** The scripts that the first one imports when a picture is opened, and their style sheets. */
function partsIn(bundle: Rolldown.OutputBundle): string[] {
  const chunks = Object.values(bundle).filter((file) => file.type === 'chunk');
  const later = chunks.filter(({ isEntry }) => !isEntry);
  return later.flatMap(({ fileName, viteMetadata }) => [fileName, ...(viteMetadata?.importedCss ?? [])]);
}

function withHints(page: string, files: readonly string[]): string {
  const links = files.map((file) => {
    const kind = file.endsWith('.css') ? 'rel="preload" as="style"' : 'rel="modulepreload"';
    return `  <link ${kind} crossorigin href="./${file}">\n  `;
  });
  return replaced(page, '</head>', `${links.join('')}</head>`);
}

/**
 * Says in the page that its host has files only, so that the viewer asks for no list that a tile server would
 * have.
 */
function forFiles(page: string): string {
  const marked = replaced(page, '<html ', '<html data-host="files" ');
  return replaced(
    marked,
    'href="openapi.json">the addresses of this server<',
    'href="pictures.json">the addresses in this list<',
  );
}

function replaced(page: string, part: string, by: string): string {
  if (!page.includes(part)) throw new Error(`index.html has no ${part}`);
  return page.replace(part, by);
}
