/** First parts of addresses that `parseRequest` takes for something else than an id. */
const TAKEN: ReadonlySet<string> = new Set(['api', 'dzi', 'iiif']);
/** Names that no upload gets, because the server's own addresses begin with them. */
const RESERVED: ReadonlySet<string> = new Set([
  ...TAKEN,
  'assets',
  'health',
  'metrics',
  'model',
  'openapi.json',
  'ready',
]);

/**
 * The part of an address that names a picture. In an id that would be taken for another address the first
 * letter is escaped: `%61pi`.
 */
export function picturePath(id: string): string {
  const path = encodeURIComponent(id);
  return TAKEN.has(path) ? `%${path.charCodeAt(0).toString(16)}${path.slice(1)}` : path;
}

export function isReserved(name: string): boolean {
  return RESERVED.has(name.toLowerCase());
}
