import { UnsupportedError } from '../errors.ts';
import { toHexadecimal } from '../hexadecimal.ts';

/**
 * SHA-256 in lower-case hexadecimal. Rejects with UnsupportedError where it is missing: in pages that are not
 * served securely.
 */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const subtle = globalThis.crypto?.subtle;
  if (subtle === undefined)
    throw new UnsupportedError('SHA-256 is not available here: use https or localhost');
  return toHexadecimal(new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)));
}
