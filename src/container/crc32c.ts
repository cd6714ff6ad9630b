import crc32c from 'crc-32/crc32c.js';

/**
 * CRC-32C (Castagnoli) as an unsigned number; continues from `previous`, the CRC of the bytes before. Spec
 * 1.1.
 */
export function crcOf(bytes: Uint8Array, previous = 0): number {
  return crc32c.buf(bytes, previous | 0) >>> 0;
}
