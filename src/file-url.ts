import { fileURLToPath } from 'node:url';
import { RequestError } from './errors.ts';
import { refuse } from './given.ts';

/** A path as it is, and that of a `file:` URL, which may be text. Throws RequestError for anything else. */
export function pathOf(place: string | URL): string {
  if (typeof place === 'string') return /^file:\/\//i.test(place) ? pathOfFileUrl(place) : place;
  if (!(place instanceof URL)) return refuse('path', 'a path or a file: URL', place);
  if (place.protocol === 'file:') return pathOfFileUrl(place);
  throw new RequestError(`Expected the URL of a file but received ${place.protocol}`);
}

/**
 * The path that a `file:` URL names. Throws RequestError where it names none, as with another host or an
 * escaped slash.
 */
function pathOfFileUrl(url: string | URL): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new RequestError(`${url}: ${(cause as Error).message}`, { cause });
  }
}
