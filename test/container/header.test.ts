import { describe, expect, it } from 'vitest';
import { type Header, readHeader } from '../../src/container/header.ts';
import { writeHeader } from '../../src/container/write-header.ts';
import { FormatError, UnsupportedError } from '../../src/errors.ts';
import { concat, FIELDS, noise, pack, Raw } from './sample-file.ts';

const sections = [['icc', 5, 0xffffffff]];
const fields: Readonly<Record<string, unknown>> = { ...FIELDS, sections };

/** A map of these fields, in this order, and further keys. */
function mapOf(changes: Readonly<Record<string, unknown>> = {}, more: [unknown, unknown][] = []): Uint8Array {
  const known = Object.entries({ ...fields, ...changes }).filter(([, value]) => value !== undefined);
  return pack(new Map<unknown, unknown>([...known, ...more]));
}

/** `levels` arrays, one in the other. */
const nest = (levels: number) => new Raw(...new Array<number>(levels - 1).fill(0x91), 0x90);

function faultOf(bytes: Uint8Array): FormatError {
  try {
    readHeader(bytes, 16);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return error as FormatError;
  }
  throw new Error('the header was accepted');
}

describe('writeHeader', () => {
  const header: Header = { ...FIELDS, sections: [{ type: 'icc', length: 5, crc: 0xffffffff }] };

  it('writes what readHeader reads', () => {
    expect(readHeader(writeHeader(header), 16)).toEqual(header);
  });

  it('writes one map with the keys in the order of the specification, whatever the order in memory', () => {
    const turned = Object.fromEntries(Object.entries(header).reverse()) as unknown as Header;
    expect(writeHeader(turned)).toEqual(writeHeader(header));
    const bytes = writeHeader(header);
    const text = new TextDecoder('latin1').decode(bytes);
    const places = Object.keys(fields).map((key) => text.indexOf(key));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
    expect(bytes[0]).toBe(0x8c);
  });

  it('writes a color space behind the depth, and none where there is none', () => {
    const wide: Header = { ...header, colorSpace: 'display-p3' };
    expect(readHeader(writeHeader(wide), 16)).toEqual(wide);
    const text = new TextDecoder('latin1').decode(writeHeader(wide));
    expect(text.indexOf('colorSpace')).toBeGreaterThan(text.indexOf('depth'));
    expect(text.indexOf('colorSpace')).toBeLessThan(text.indexOf('quality'));
    expect(new TextDecoder('latin1').decode(writeHeader(header))).not.toContain('colorSpace');
  });

  it('writes the largest values of every field', () => {
    const large: Header = {
      ...header,
      width: 2 ** 24,
      height: 2 ** 24,
      channels: 1,
      depth: 16,
      quality: 100,
      encoder: 'é'.repeat(32),
      chunkSize: 64,
      levels: 24,
      overviewFactor: 2,
      sections: Array.from({ length: 16 }, (_, i) => ({
        type: `type number ${String(i).padStart(4, '0')}`,
        length: 2 ** 28,
        crc: 2 ** 32 - 1,
      })),
    };
    expect(readHeader(writeHeader(large), 16)).toEqual(large);
  });
});

describe('readHeader', () => {
  it('reads color spaces, refuses what is none, and says which one it does not know', () => {
    expect(readHeader(mapOf(), 16).colorSpace).toBeUndefined();
    expect(readHeader(mapOf({ colorSpace: 'srgb' }), 16)).toEqual(readHeader(mapOf(), 16));
    expect(readHeader(mapOf({ colorSpace: 'display-p3' }), 16).colorSpace).toBe('display-p3');
    // Gray is the same in both.
    expect(readHeader(mapOf({ colorSpace: 'display-p3', channels: 1 }), 16).colorSpace).toBeUndefined();
    for (const value of [null, 1, true, ['srgb']])
      expect(faultOf(mapOf({ colorSpace: value })).message).toContain('colorSpace');
    const later = () => readHeader(mapOf({ colorSpace: 'rec2100-pq' }), 16);
    expect(later).toThrow(UnsupportedError);
    expect(later).toThrow('"rec2100-pq"');
  });

  it('reads a header that something else has written', () => {
    expect(readHeader(mapOf(), 16)).toEqual({
      ...FIELDS,
      sections: [{ type: 'icc', length: 5, crc: 0xffffffff }],
    });
  });

  it('takes every encoding of an integer and of a map', () => {
    const wide = mapOf({
      quality: new Raw(0xcc, 60),
      depth: new Raw(0xcd, 0, 8),
      levels: new Raw(0xce, 0, 0, 0, 3),
      chunkSize: new Raw(0xd3, 0, 0, 0, 0, 0, 0, 0, 8),
      channels: new Raw(0xd0, 3),
      overviewFactor: new Raw(0xd1, 0, 4),
      height: new Raw(0xd2, 0, 0, 0, 170),
    });
    expect(readHeader(wide, 16).quality).toBe(60);
    expect(readHeader(wide, 16).chunkSize).toBe(8);
    const count = (wide[1]! << 8) | wide[2]!;
    expect(readHeader(concat([0xdf, 0, 0, 0, count], wide.subarray(3)), 16).width).toBe(300);
    expect(readHeader(concat([0x80 | count], wide.subarray(3)), 16).width).toBe(300);
  });

  it('ignores unknown keys, whatever they are called and hold', () => {
    const header = readHeader(
      mapOf({}, [
        ['later', 1.5],
        ['__proto__', { width: 7, polluted: true }],
        ['constructor', { prototype: { polluted: true } }],
        ['toString', null],
        ['', [1, [2, ['x']], -5]],
      ]),
      16,
    );
    expect(header.width).toBe(300);
    expect(Object.keys(header).sort()).toEqual(Object.keys(fields).sort());
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('copies the hash of the model out of the bytes', () => {
    const bytes = mapOf();
    const { model } = readHeader(bytes, 16);
    bytes.fill(0);
    expect(model).toEqual(FIELDS.model);
    expect(model.buffer.byteLength).toBe(32);
  });

  it.each(Object.keys(fields))('demands the key %s', (key) => {
    expect(faultOf(mapOf({ [key]: undefined })).message).toContain(`${key} is missing`);
  });

  const big = new Raw(0xcf, 0, 0, 0, 1, 0, 0, 0, 60);
  const huge = new Raw(0xcf, 255, 255, 255, 255, 255, 255, 255, 255);
  const whole = new Raw(0xcb, 0x40, 0x4e, 0, 0, 0, 0, 0, 0); // 60.0
  const nan = new Raw(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0);
  const notNumbers = ['60', null, true, [60], { a: 60 }, Uint8Array.of(60), nan, whole, 1.5, big, huge, -60];
  const wrong: Record<string, unknown[]> = {
    width: [...notNumbers, 0, 2 ** 24 + 1, 2 ** 31, 2 ** 32 + 300],
    height: [...notNumbers, 0, 2 ** 24 + 1, Number.POSITIVE_INFINITY],
    channels: [...notNumbers, 0, 2, 4],
    alpha: [0, 1, null, 'true'],
    depth: [...notNumbers, 0, 1, 10, 32],
    quality: [...notNumbers, 0, 101],
    model: [noise(31, 1), noise(33, 1), noise(0, 1), 'a'.repeat(32), null, new Array(32).fill(1)],
    encoder: [5, null, 'x'.repeat(65), 'é'.repeat(33), Uint8Array.of(65)],
    chunkSize: [...notNumbers, 0, 4, 12, 63, 72],
    levels: [...notNumbers, 0, 25],
    overviewFactor: [...notNumbers, 0, 1, 3, 8],
    sections: [
      null,
      {},
      'icc',
      [null],
      [[]],
      [['icc', 5]],
      [['icc', 5, 1, 1]],
      [[5, 5, 1]],
      [['', 5, 1]],
      [['x'.repeat(17), 5, 1]],
      [['é'.repeat(9), 5, 1]],
      [['icc', -1, 1]],
      [['icc', 2 ** 28 + 1, 1]],
      [['icc', 1.5, 1]],
      [['icc', whole, 1]],
      [['icc', 5, -1]],
      [['icc', 5, 2 ** 32]],
      [['icc', 5, nan]],
      [
        ['icc', 5, 1],
        ['icc', 5, 1],
      ],
      Array.from({ length: 17 }, (_, i) => [`s${i}`, 0, 0]),
      new Raw(0xdd, 255, 255, 255, 255),
    ],
  };
  for (const [key, values] of Object.entries(wrong)) {
    it(`refuses every wrong value of ${key}`, () => {
      for (const value of values) expect(faultOf(mapOf({ [key]: value })).section).toBe('header');
    });
  }

  it('takes as many levels as lead to one pixel, and no more', () => {
    const levels = (width: number, height: number, overviewFactor: number, count: number) =>
      mapOf({ width, height, overviewFactor, levels: count });
    // 17 -> 5 -> 2 -> 1
    expect(readHeader(levels(3, 17, 4, 4), 16).levels).toBe(4);
    expect(faultOf(levels(3, 17, 4, 5)).message).toContain('5 levels are too many for 3 x 17');
    // 16 -> 4 -> 1
    expect(readHeader(levels(16, 3, 4, 3), 16).levels).toBe(3);
    faultOf(levels(16, 3, 4, 4));
    expect(readHeader(levels(1, 1, 2, 1), 16).levels).toBe(1);
    faultOf(levels(1, 1, 2, 2));
    expect(readHeader(levels(2 ** 24, 1, 4, 13), 16).levels).toBe(13);
    faultOf(levels(2 ** 24, 1, 4, 14));
  });

  it('refuses a key that occurs twice, at any depth, and says where', () => {
    expect(faultOf(pack(new Map([['a', new Raw(0x82, 0xa1, 98, 1, 0xd9, 1, 98, 2)]]))).message).toContain(
      '"b" occurs twice',
    );
    // Maps of JavaScript cannot hold a key twice: it is appended.
    const doubled = concat(mapOf(), pack('width'), [1]);
    doubled[2]!++;
    const fault = faultOf(doubled);
    expect(fault.message).toContain('"width" occurs twice');
    expect(fault.byteOffset).toBe(16 + mapOf().length);
  });

  it('refuses extension types, timestamps and the byte that is never used', () => {
    const bad = [
      new Raw(0xd4, 1, 0),
      new Raw(0xd5, 1, 0, 0),
      new Raw(0xd6, 0xff, 0, 0, 0, 0),
      new Raw(0xd7, 0xff, ...new Array<number>(8).fill(0)),
      new Raw(0xd8, 1, ...new Array<number>(16).fill(0)),
      new Raw(0xc7, 1, 1, 0),
      new Raw(0xc8, 0, 1, 1, 0),
      new Raw(0xc9, 0, 0, 0, 1, 1, 0),
      new Raw(0xc1),
    ];
    for (const value of bad) {
      expect(faultOf(mapOf({}, [['x', value]])).message).toContain('does not occur in a header');
      faultOf(mapOf({}, [['x', [value]]]));
      faultOf(mapOf({}, [[value, 1]]));
    }
  });

  it('refuses keys that are no strings', () => {
    for (const key of [1, null, true, 1.5, Uint8Array.of(97), new Raw(0x90), new Raw(0x80)])
      expect(faultOf(mapOf({}, [[key, 1]])).message).toContain('a key is not a string');
  });

  it('refuses strings that are not UTF-8', () => {
    for (const text of [new Raw(0xa1, 0xff), new Raw(0xa2, 0xc0, 0x80), new Raw(0xa3, 0xed, 0xa0, 0x80)]) {
      expect(faultOf(mapOf({}, [['x', text]])).message).toContain('not UTF-8');
      expect(faultOf(mapOf({}, [[text, 1]])).message).toContain('not UTF-8');
    }
  });

  it('takes eight maps and arrays in each other, the outermost included, and not nine', () => {
    expect(readHeader(mapOf({}, [['x', nest(7)]]), 16).width).toBe(300);
    expect(faultOf(mapOf({}, [['x', nest(8)]])).message).toContain('nested deeper than 8');
    expect(faultOf(mapOf({}, [['x', nest(60_000)]])).message).toContain('nested deeper than 8');
    const maps = (levels: number): unknown => (levels === 0 ? 1 : { m: maps(levels - 1) });
    expect(readHeader(mapOf({}, [['x', maps(7)]]), 16).width).toBe(300);
    expect(faultOf(mapOf({}, [['x', maps(8)]])).message).toContain('nested deeper than 8');
  });

  it('refuses lengths beyond the end without reserving memory for them', () => {
    const full = [255, 255, 255, 255];
    const before = process.memoryUsage();
    for (const type of [0xc6, 0xdb, 0xdd, 0xdf]) {
      expect(faultOf(mapOf({}, [['x', new Raw(type, ...full)]])).message).toContain('ends in the middle');
      faultOf(mapOf({}, [[new Raw(type, ...full), 1]]));
      faultOf(Uint8Array.of(type, ...full));
      faultOf(mapOf({ sections: new Raw(type, ...full) }));
      faultOf(mapOf({ encoder: new Raw(type, ...full) }));
    }
    faultOf(Uint8Array.of(0xde, 255, 255));
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(2 ** 20);
    expect(after.heapUsed - before.heapUsed).toBeLessThan(16 * 2 ** 20);
  });

  it('refuses every truncation and every byte that follows', () => {
    const bytes = mapOf();
    for (let length = 0; length < bytes.length; length++) faultOf(bytes.subarray(0, length));
    expect(faultOf(concat(bytes, [0xc0])).message).toContain('1 bytes follow the map');
    expect(faultOf(concat(bytes, [0xc0])).byteOffset).toBe(16 + bytes.length);
  });

  it('refuses what is not a map', () => {
    for (const value of [1, 'x', null, [], [fields], true, 1.5, Uint8Array.of(1)])
      expect(faultOf(pack(value)).message).toContain('it is not a map');
  });

  it('keeps long values of a stranger out of its messages', () => {
    expect(faultOf(mapOf({ alpha: 'x'.repeat(200) })).message.length).toBeLessThan(180);
    const key = 'k'.repeat(200);
    const doubled = concat(mapOf({}, [[key, 1]]), pack(key), [1]);
    doubled[2]!++;
    expect(faultOf(doubled).message.length).toBeLessThan(180);
  });
});
