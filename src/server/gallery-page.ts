import type { CatalogEntry } from './catalog.ts';

const MAX_LISTED = 500;

/** A plain list of the pictures, for installations without the viewer. `mount`: path before the server's own. */
export function galleryPage(mount: string, entries: readonly CatalogEntry[]): string {
  const items = entries.slice(0, MAX_LISTED).map(({ id, title }) => {
    const path = `${mount}/iiif/3/${encodeURIComponent(id)}`;
    return `<li><a href="${escaped(path)}/full/max/0/default.jpg"><img src="${escaped(path)}/full/!240,240/0/default.jpg" alt="" loading="lazy"><br>${escaped(title)}</a></li>`;
  });
  const more = entries.length > MAX_LISTED ? `<p>and ${entries.length - MAX_LISTED} more</p>` : '';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Pictures</title></head>
<body><h1>Pictures</h1><ul>${items.join('\n')}</ul>${more}<p><a href="${escaped(mount)}/openapi.json">Addresses of this server</a></p></body></html>
`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
