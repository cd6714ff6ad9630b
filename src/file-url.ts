import { fileURLToPath } from 'node:url';
import { RequestError } from './errors.ts';

/** The path that a `file:` URL names. Throws RequestError where it names none, as with another host or an escaped slash. */
export function pathOfFileUrl(url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new RequestError(`${url}: ${(cause as Error).message}`, { cause });
  }
}
