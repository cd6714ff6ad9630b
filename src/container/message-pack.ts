import { ByteReader } from './cursor.ts';
import { MAX_NESTING } from './layout.ts';

/** Thrown by `checkMessagePack`; `offset` counts from the first byte of the message. */
export class MessagePackFault extends Error {
  readonly offset: number;
  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

/**
 * The door in front of the MessagePack library: walks a message once, without allocating by its numbers, and throws unless it is one
 * map of the types of spec 1.3 that ends with the last byte, with string keys, none twice in a map, nested at most 8 deep. Under
 * `withoutFloats`, keys of the outermost map, floats are refused: the library does not tell 3.0 from 3.
 */
export function checkMessagePack(bytes: Uint8Array, withoutFloats: ReadonlySet<string>): void {
  const reader = new ByteReader(
    bytes,
    (offset) => new MessagePackFault(offset, 'it ends in the middle of a value'),
  );
  const first = reader.readUint8();
  if (!((first & 0xf0) === 0x80 || first === 0xde || first === 0xdf))
    throw new MessagePackFault(0, 'it is not a map');
  reader.offset = 0;
  checkValue(reader, { depth: 1, withoutFloats });
  if (reader.remaining > 0)
    throw new MessagePackFault(reader.offset, `${reader.remaining} bytes follow the map`);
}

const bigEndian = (reader: ByteReader, bytes: number): number => {
  let value = 0;
  for (let i = 0; i < bytes; i++) value = value * 256 + reader.readUint8();
  return value;
};

/** Where a value stands: `depth` is that of a map or array here, 1 for the outermost. */
interface Place {
  readonly depth: number;
  /** In the outermost map: keys whose values hold no floats. */
  readonly withoutFloats?: ReadonlySet<string>;
  /** The key, of those without floats, that this is the value of or inside of. */
  readonly floatless?: string | undefined;
}

function checkValue(reader: ByteReader, place: Place): void {
  const start = reader.offset;
  const type = reader.readUint8();
  if (type <= 0x7f || type >= 0xe0) return; // small integers
  if (type <= 0x8f) checkMap(reader, type & 0x0f, start, place);
  else if (type <= 0x9f) checkArray(reader, type & 0x0f, start, place);
  else if (type <= 0xbf) checkString(reader, type & 0x1f, start);
  else if (type === 0xc0 || type === 0xc2 || type === 0xc3)
    return; // nil, false, true
  else if (type >= 0xc4 && type <= 0xc6)
    reader.readBytes(bigEndian(reader, 1 << (type - 0xc4))); // bin
  else if (type === 0xca || type === 0xcb) {
    if (place.floatless !== undefined)
      throw new MessagePackFault(start, `${place.floatless} must not hold a float`);
    reader.readBytes(type === 0xca ? 4 : 8);
  } else if (type >= 0xcc && type <= 0xcf)
    reader.readBytes(1 << (type - 0xcc)); // unsigned
  else if (type >= 0xd0 && type <= 0xd3)
    reader.readBytes(1 << (type - 0xd0)); // signed
  else if (type >= 0xd9 && type <= 0xdb) checkString(reader, bigEndian(reader, 1 << (type - 0xd9)), start);
  else if (type === 0xdc || type === 0xdd)
    checkArray(reader, bigEndian(reader, type === 0xdc ? 2 : 4), start, place);
  else if (type === 0xde || type === 0xdf)
    checkMap(reader, bigEndian(reader, type === 0xde ? 2 : 4), start, place);
  else throw new MessagePackFault(start, `type 0x${type.toString(16)} does not occur in a header`);
}

function checkDepth(start: number, { depth }: Place): void {
  if (depth > MAX_NESTING) throw new MessagePackFault(start, `nested deeper than ${MAX_NESTING}`);
}

function checkArray(reader: ByteReader, length: number, start: number, place: Place): void {
  checkDepth(start, place);
  const inside = { depth: place.depth + 1, floatless: place.floatless };
  for (let i = 0; i < length; i++) checkValue(reader, inside);
}

function checkMap(reader: ByteReader, length: number, mapStart: number, place: Place): void {
  checkDepth(mapStart, place);
  const keys = new Set<string>();
  for (let i = 0; i < length; i++) {
    const start = reader.offset;
    const type = reader.readUint8();
    const size =
      (type & 0xe0) === 0xa0
        ? type & 0x1f
        : type >= 0xd9 && type <= 0xdb
          ? bigEndian(reader, 1 << (type - 0xd9))
          : undefined;
    if (size === undefined) throw new MessagePackFault(start, 'a key is not a string');
    const key = checkString(reader, size, start);
    if (keys.has(key))
      throw new MessagePackFault(start, `the key ${JSON.stringify(key.slice(0, 40))} occurs twice`);
    keys.add(key);
    checkValue(reader, {
      depth: place.depth + 1,
      floatless: place.withoutFloats?.has(key) ? key : place.floatless,
    });
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function checkString(reader: ByteReader, length: number, start: number): string {
  try {
    return utf8.decode(reader.readBytes(length));
  } catch (error) {
    if (error instanceof MessagePackFault) throw error;
    throw new MessagePackFault(start, 'a string is not UTF-8');
  }
}
