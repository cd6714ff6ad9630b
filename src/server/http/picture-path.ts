/** First parts that `parseRequest` takes for something else than an id, as they are written. */
const TAKEN: ReadonlySet<string> = new Set(['api', 'dzi', 'iiif']);
/** Names that no upload gets: addresses of the server's own begin with them. */
const RESERVED: ReadonlySet<string> = new Set([
  ...TAKEN,
  'assets',
  'health',
  'metrics',
  'model',
  'openapi.json',
  'ready',
]);

/** The part of an address that names a picture. An id that would be taken for another address has its first letter escaped: `%61pi`. */
export function picturePath(id: string): string {
  const path = encodeURIComponent(id);
  return TAKEN.has(path) ? `%${path.charCodeAt(0).toString(16)}${path.slice(1)}` : path;
}

export function isReserved(name: string): boolean {
  return RESERVED.has(name.toLowerCase());
}
