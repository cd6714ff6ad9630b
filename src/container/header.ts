import { COLOR_SPACES, type ColorSpace } from '../color-space.ts';
import { FormatError, shown, UnsupportedError } from '../errors.ts';
import { toHexadecimal } from '../hexadecimal.ts';
import * as layout from './layout.ts';
import { MessagePackFault, type MessagePackValue, readMessagePack } from './message-pack.ts';

/** An ancillary section as the header lists it. */
export interface SectionEntry {
  /** `icc`, `exif`, `xmp`, `text`, or any other name of at most 16 bytes. */
  readonly type: string;
  /** In bytes. */
  readonly length: number;
  /** CRC-32C of the bytes. */
  readonly crc: number;
}

/** What a file says of its picture. Spec 1.3. */
export interface Header {
  /** Width of the upright picture, 1 to 2^24 pixels. */
  readonly width: number;
  /** Height of the upright picture, 1 to 2^24 pixels. */
  readonly height: number;
  /** Channels of color: 1 gray, 3 RGB. Alpha is not counted. */
  readonly channels: 1 | 3;
  /** Whether there is a channel of alpha besides. */
  readonly alpha: boolean;
  /** Bits of a sample of the encoded picture. It can be decoded to either depth. */
  readonly depth: 8 | 16;
  /** Color space of the decoded samples. Absent: sRGB, and always for gray. */
  readonly colorSpace?: ColorSpace;
  /** 1 to 100. */
  readonly quality: number;
  /** Hash of the model that decodes the file: SHA-256, 32 bytes. */
  readonly model: Uint8Array;
  /** The program that made the file, e.g. `liif 0.1.0`. */
  readonly encoder: string;
  /** Side of a chunk in latents, each of which stands for 16 x 16 pixels. */
  readonly chunkSize: number;
  /** 1 for the picture itself, and 1 for each overview. */
  readonly levels: number;
  /** Reduction of a side from one level to the next. */
  readonly overviewFactor: 2 | 4;
  /** Sections that the file carries beside the picture, e.g. EXIF. */
  readonly sections: readonly SectionEntry[];
}

/** The hash of the model that a file needs, in lower-case hexadecimal, as in `Model.hash`. */
export function modelHash({ model }: Pick<Header, 'model'>): string {
  return toHexadecimal(model);
}

/**
 * The keys of a header in the order of the specification, in which `write-header.ts` writes them. None holds
 * a float.
 */
export const KEYS = [
  'width',
  'height',
  'channels',
  'alpha',
  'depth',
  'colorSpace',
  'quality',
  'model',
  'encoder',
  'chunkSize',
  'levels',
  'overviewFactor',
  'sections',
] as const satisfies readonly (keyof Header)[];
const KNOWN: ReadonlySet<string> = new Set(KEYS);

/**
 * Reads and checks a header. `byteOffset`: where it begins in the file, for messages. Throws FormatError, or
 * UnsupportedError for a color space.
 */
export function readHeader(bytes: Uint8Array, byteOffset: number): Header {
  let map: ReadonlyMap<string, MessagePackValue>;
  try {
    map = readMessagePack(bytes, KNOWN);
  } catch (cause) {
    if (!(cause instanceof MessagePackFault)) throw cause;
    throw new FormatError('header', byteOffset + cause.offset, cause.message, { cause });
  }
  const fault = (key: string, expected: string): FormatError =>
    new FormatError(
      'header',
      byteOffset,
      map.has(key)
        ? `expected ${expected} for ${key} but received ${told(map.get(key))}`
        : `${key} is missing`,
    );
  const whole = (key: string, low: number, high: number, multiple = 1): number => {
    const value = map.get(key);
    const wanted = `a whole number from ${low} to ${high}${multiple > 1 ? `, a multiple of ${multiple},` : ''}`;
    if (!isWhole(value, low, high) || value % multiple !== 0) throw fault(key, wanted);
    return value;
  };
  const oneOf = <T extends number>(key: string, ...values: readonly T[]): T => {
    const value = map.get(key) as T;
    if (!values.includes(value)) throw fault(key, values.join(' or '));
    return value;
  };
  const alpha = map.get('alpha');
  if (typeof alpha !== 'boolean') throw fault('alpha', 'true or false');
  const colorSpace = map.get('colorSpace') as ColorSpace | undefined;
  if (colorSpace !== undefined && !COLOR_SPACES.includes(colorSpace))
    throw typeof colorSpace === 'string'
      ? new UnsupportedError(
          `The file is in color space ${shown(colorSpace)}, which this version does not know`,
        )
      : fault('colorSpace', 'a text');
  const model = map.get('model');
  if (!(model instanceof Uint8Array) || model.length !== layout.MODEL_HASH_LENGTH)
    throw fault('model', '32 bytes');
  const encoder = map.get('encoder');
  if (typeof encoder !== 'string' || new TextEncoder().encode(encoder).length > layout.MAX_ENCODER_LENGTH)
    throw fault('encoder', `a text of at most ${layout.MAX_ENCODER_LENGTH} bytes`);
  const channels = oneOf('channels', 1, 3);
  const header: Header = {
    width: whole('width', 1, layout.MAX_SIDE),
    height: whole('height', 1, layout.MAX_SIDE),
    channels,
    alpha,
    depth: oneOf('depth', 8, 16),
    ...(channels === 3 && colorSpace === 'display-p3' && { colorSpace }),
    quality: whole('quality', 1, layout.MAX_QUALITY),
    model: Uint8Array.from(model),
    encoder,
    chunkSize: whole('chunkSize', layout.MIN_CHUNK_SIZE, layout.MAX_CHUNK_SIZE, layout.CHUNK_SIZE_MULTIPLE),
    levels: whole('levels', 1, layout.MAX_LEVELS),
    overviewFactor: oneOf('overviewFactor', 2, 4),
    sections: readSections(map.get('sections'), fault),
  };
  const longer = Math.max(header.width, header.height);
  if (header.levels > 1 && header.overviewFactor ** (header.levels - 2) >= longer)
    throw new FormatError(
      'header',
      byteOffset,
      `${header.levels} levels are too many for ${header.width} x ${header.height} pixels`,
    );
  return header;
}

function readSections(value: unknown, fault: (key: string, expected: string) => FormatError): SectionEntry[] {
  const expected = `at most ${layout.MAX_SECTIONS} entries of type, length and CRC`;
  if (!Array.isArray(value) || value.length > layout.MAX_SECTIONS) throw fault('sections', expected);
  const within = (number: unknown, high: number): number => {
    if (!isWhole(number, 0, high)) throw fault('sections', expected);
    return number;
  };
  const types = new Set<string>();
  return value.map((entry: unknown) => {
    if (!Array.isArray(entry) || entry.length !== 3 || typeof entry[0] !== 'string')
      throw fault('sections', expected);
    const type: string = entry[0];
    const bytes = new TextEncoder().encode(type).length;
    if (bytes < 1 || bytes > layout.MAX_SECTION_TYPE_LENGTH || types.has(type))
      throw fault('sections', expected);
    types.add(type);
    return { type, length: within(entry[1], layout.MAX_SECTION_LENGTH), crc: within(entry[2], 0xffffffff) };
  });
}

function isWhole(value: unknown, low: number, high: number): value is number {
  return Number.isInteger(value) && (value as number) >= low && (value as number) <= high;
}

/** A value of a stranger's file, for messages. */
function told(value: unknown): string {
  return value instanceof Uint8Array ? `${value.length} bytes` : shown(value);
}
