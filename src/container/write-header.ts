import { Packr } from 'msgpackr';
import { type Header, KEYS } from './header.ts';

// Apart from `readHeader`, so that decoders in browsers come without the packer.

/** The header as MessagePack, its keys in the order of the specification. */
export function writeHeader(header: Header): Uint8Array {
  const map = new Map<string, unknown>(
    KEYS.filter((key) => header[key] !== undefined).map((key) => [key, header[key]]),
  );
  map.set(
    'sections',
    header.sections.map(({ type, length, crc }) => [type, length, crc]),
  );
  return Uint8Array.from(new Packr({ useRecords: false }).pack(map));
}
