import { shown } from '../errors.ts';
import { ByteReader } from './cursor.ts';
import { MAX_NESTING } from './layout.ts';

/** Thrown by `readMessagePack`; `offset` counts from the first byte of the message. */
export class MessagePackFault extends Error {
  readonly offset: number;
  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

/**
 * Maps are maps: no key of a stranger's becomes a property. 64-bit integers beyond 2^53 come as the nearest
 * double.
 */
export type MessagePackValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly MessagePackValue[]
  | ReadonlyMap<string, MessagePackValue>;

/**
 * Reads a message, without allocating by its numbers, and throws MessagePackFault unless it is one map of the
 * types of spec 1.3 that ends with the last byte, with string keys, none twice in a map, nested at most 8
 * deep. Under `withoutFloats`, keys of the outermost map, floats are refused: afterwards 3.0 could not be
 * told from 3. A reader of its own: libraries let pass what this has to refuse, and are most of what a
 * decoder in a page would load.
 */
export function readMessagePack(
  bytes: Uint8Array,
  withoutFloats: ReadonlySet<string>,
): ReadonlyMap<string, MessagePackValue> {
  const reader = new ByteReader(
    bytes,
    (offset) => new MessagePackFault(offset, 'it ends in the middle of a value'),
  );
  const map = readValue(reader, { depth: 1, withoutFloats });
  if (!(map instanceof Map)) throw new MessagePackFault(0, 'it is not a map');
  if (reader.remaining > 0)
    throw new MessagePackFault(reader.offset, `${reader.remaining} bytes follow the map`);
  return map;
}

/** A big-endian number of at most 8 bytes. */
function readInteger(reader: ByteReader, bytes: number, signed = false): number {
  let value = 0n;
  for (let i = 0; i < bytes; i++) value = (value << 8n) | BigInt(reader.readUint8());
  return Number(signed ? BigInt.asIntN(8 * bytes, value) : value);
}

/** Where a value stands: `depth` is that of a map or array here, 1 for the outermost. */
interface Place {
  readonly depth: number;
  /** In the outermost map: keys whose values hold no floats. */
  readonly withoutFloats?: ReadonlySet<string>;
  /** The key, of those without floats, that this is the value of or inside of. */
  readonly floatless?: string | undefined;
}

function readValue(reader: ByteReader, place: Place): MessagePackValue {
  const start = reader.offset;
  const type = reader.readUint8();
  if (type <= 0x7f) return type;
  if (type <= 0x8f) return readMap(reader, type & 0x0f, start, place);
  if (type <= 0x9f) return readArray(reader, type & 0x0f, start, place);
  if (type <= 0xbf) return readString(reader, type & 0x1f, start);
  if (type === 0xc0) return null;
  if (type === 0xc2 || type === 0xc3) return type === 0xc3;
  if (type >= 0xc4 && type <= 0xc6) return reader.readBytes(readInteger(reader, 1 << (type - 0xc4)));
  if (type === 0xca || type === 0xcb) {
    if (place.floatless !== undefined)
      throw new MessagePackFault(start, `${place.floatless} must not hold a float`);
    const { buffer, byteOffset, byteLength } = reader.readBytes(type === 0xca ? 4 : 8);
    const view = new DataView(buffer, byteOffset, byteLength);
    return type === 0xca ? view.getFloat32(0) : view.getFloat64(0);
  }
  if (type >= 0xcc && type <= 0xcf) return readInteger(reader, 1 << (type - 0xcc));
  if (type >= 0xd0 && type <= 0xd3) return readInteger(reader, 1 << (type - 0xd0), true);
  if (type >= 0xd9 && type <= 0xdb) return readString(reader, readInteger(reader, 1 << (type - 0xd9)), start);
  if (type === 0xdc || type === 0xdd)
    return readArray(reader, readInteger(reader, type === 0xdc ? 2 : 4), start, place);
  if (type === 0xde || type === 0xdf)
    return readMap(reader, readInteger(reader, type === 0xde ? 2 : 4), start, place);
  if (type >= 0xe0) return type - 256;
  throw new MessagePackFault(start, `type 0x${type.toString(16)} does not occur in a header`);
}

function checkDepth(start: number, { depth }: Place): void {
  if (depth > MAX_NESTING) throw new MessagePackFault(start, `nested deeper than ${MAX_NESTING}`);
}

function readArray(reader: ByteReader, length: number, start: number, place: Place): MessagePackValue[] {
  checkDepth(start, place);
  const inside = { depth: place.depth + 1, floatless: place.floatless };
  const values: MessagePackValue[] = [];
  for (let i = 0; i < length; i++) values.push(readValue(reader, inside));
  return values;
}

function readMap(
  reader: ByteReader,
  length: number,
  mapStart: number,
  place: Place,
): Map<string, MessagePackValue> {
  checkDepth(mapStart, place);
  const map = new Map<string, MessagePackValue>();
  for (let i = 0; i < length; i++) {
    const start = reader.offset;
    const type = reader.readUint8();
    if (!((type >= 0xa0 && type <= 0xbf) || (type >= 0xd9 && type <= 0xdb)))
      throw new MessagePackFault(start, 'a key is not a string');
    reader.offset = start;
    const key = readValue(reader, place) as string;
    if (map.has(key)) throw new MessagePackFault(start, `the key ${shown(key)} occurs twice`);
    const floatless = place.withoutFloats?.has(key) ? key : place.floatless;
    map.set(key, readValue(reader, { depth: place.depth + 1, floatless }));
  }
  return map;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readString(reader: ByteReader, length: number, start: number): string {
  try {
    return utf8.decode(reader.readBytes(length));
  } catch (error) {
    if (error instanceof MessagePackFault) throw error;
    throw new MessagePackFault(start, 'a string is not UTF-8');
  }
}
