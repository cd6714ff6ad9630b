import { kindOf, RequestError } from '../errors.ts';
import { pathOf } from '../file-url.ts';
import { bytesOfBuffer } from '../given.ts';
import { blobSource } from './blob-source.ts';
import { fileSource } from './file-source.ts';
import { httpSource } from './http-source.ts';
import { memorySource } from './memory-source.ts';
import type { Source } from './source.ts';

/** A .liif file: its path, `file:` or `http(s):` URL, bytes, Blob or File, or a source of one's own. */
export type SourceInput = string | URL | Uint8Array | ArrayBuffer | Blob | Source;

/**
 * Opens a file without reading from it. Rejects with SourceError where there is no such file, and with
 * RequestError for other inputs and URLs.
 */
export async function openSource(input: SourceInput): Promise<Source> {
  if (input instanceof Uint8Array) return memorySource(input);
  if (input instanceof ArrayBuffer) return memorySource(bytesOfBuffer(input));
  if (input instanceof Blob) return blobSource(input);
  if (typeof input !== 'string' && !(input instanceof URL)) return expectSource(input);
  const text = String(input);
  if (/^https?:\/\//i.test(text)) return httpSource(text);
  if (typeof input !== 'string' && input.protocol !== 'file:')
    throw new RequestError(`Expected a URL of file:, http: or https: but received ${input.protocol}`);
  return fileSource(pathOf(input));
}

function expectSource(input: Source): Source {
  if (typeof (input as Partial<Source> | null | undefined)?.getBytes === 'function') return input;
  throw new RequestError(
    `Expected a file as a path, URL, Uint8Array, ArrayBuffer, Blob or source but received ${kindOf(input)}`,
  );
}
