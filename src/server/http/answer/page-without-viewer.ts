import type { CatalogEntry } from '../../pictures/catalog/directory-listing.ts';

const MAX_LISTED = 500;

/** Says that the viewer has not been built, and lists the pictures plainly. `mount`: path before the server's own. */
export function pageWithoutViewer(mount: string, entries: readonly CatalogEntry[]): string {
  const items = entries.slice(0, MAX_LISTED).map(({ id, title }) => {
    const path = `${mount}/iiif/3/${encodeURIComponent(id)}`;
    return `<li><a href="${escaped(path)}/full/max/0/default.jpg"><img src="${escaped(path)}/full/!240,240/0/default.jpg" alt="" loading="lazy"><br>${escaped(title)}</a></li>`;
  });
  const more = entries.length > MAX_LISTED ? `<p>and ${entries.length - MAX_LISTED} more</p>` : '';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Pictures</title></head>
<body><h1>Pictures</h1>
<p>The viewer has not been built, so this is only a list. <code>npm run build:viewer</code> builds it; then start the server again. Tiles and all other
<a href="${escaped(mount)}/openapi.json">addresses of this server</a> work without it.</p>
<ul>${items.join('\n')}</ul>${more}</body></html>
`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
