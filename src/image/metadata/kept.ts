import { expectObject, refuse } from '../../given.ts';
import type { ImageFormat } from '../formats.ts';
import { uprightExif } from './exif.ts';
import { uprightXmp } from './xmp.ts';

/** What an image can say beside its pixels and their colors. */
export interface KeptMetadata {
  /** EXIF from the byte order mark on. */
  readonly exif?: Uint8Array | undefined;
  /** An XMP packet. */
  readonly xmp?: Uint8Array | undefined;
}

/** EXIF in a JPEG ends with its segment, at 64 KiB; the writer of images adds a few entries. */
const MAX_EXIF = 65_000;
/** libvips leaves larger ones out of a JPEG. */
const MAX_JPEG_XMP = 60_000;

/**
 * What of the metadata a format can hold, turned upright, as pixels are. Undefined where nothing is left.
 * `onWarning` is called with what is left out, and why. Throws RequestError for what is no Uint8Array.
 */
export function metadataFor(
  format: ImageFormat,
  metadata: KeptMetadata,
  onWarning: (message: string) => void,
): KeptMetadata | undefined {
  expectObject(metadata, 'metadata');
  const { exif, xmp } = metadata;
  for (const [name, bytes] of Object.entries({ exif, xmp }))
    if (bytes !== undefined && !(bytes instanceof Uint8Array))
      refuse(`metadata.${name}`, 'a Uint8Array', bytes);
  const fits = (name: string, bytes: Uint8Array | undefined, faultOf: typeof exifFault) => {
    const fault = bytes && faultOf(format, bytes);
    if (fault) onWarning(`${name} is left out: ${fault}`);
    return bytes !== undefined && fault === undefined;
  };
  const keepsExif = fits('EXIF', exif, exifFault);
  const keepsXmp = fits('XMP', xmp, xmpFault);
  if (!keepsExif && !keepsXmp) return undefined;
  return { ...(keepsExif && { exif: uprightExif(exif!) }), ...(keepsXmp && { xmp: uprightXmp(xmp!) }) };
}

/** Why a format cannot hold this EXIF. */
function exifFault(format: ImageFormat, { length }: Uint8Array): string | undefined {
  if (format === 'raw') return 'raw samples have no place for it';
  if (format === 'tiff') return 'it is not written into a TIFF; write PNG, JPEG, WebP or AVIF';
  return length > MAX_EXIF ? `${length} bytes are more than ${MAX_EXIF}` : undefined;
}

/** Why a format cannot hold this XMP. */
function xmpFault(format: ImageFormat, xmp: Uint8Array): string | undefined {
  if (format === 'raw') return 'raw samples have no place for it';
  if (format === 'jpeg' && xmp.length > MAX_JPEG_XMP)
    return `a JPEG holds at most ${MAX_JPEG_XMP} bytes of it, not ${xmp.length}`;
  return xmp.includes(0) ? 'it is not in UTF-8' : undefined;
}
