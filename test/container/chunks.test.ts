import { describe, expect, it } from 'vitest';
import {
  chunkCount,
  chunkExtent,
  chunkGrid,
  chunkList,
  chunkNumber,
  hasChunk,
  indexLength,
  latentExtent,
  levelSize,
  readIndex,
  writeIndex,
} from '../../src/container/chunks.ts';
import { FormatError } from '../../src/errors.ts';
import { concat, FIELDS, littleEndian, seeded } from './sample-file.ts';

const shape = { ...FIELDS };

describe('the chunks of a header', () => {
  it('follow from sizes that are rounded up at every level', () => {
    expect([0, 1, 2].map((level) => levelSize(shape, level))).toEqual([
      { width: 300, height: 170 },
      { width: 75, height: 43 },
      { width: 19, height: 11 },
    ]);
    expect([0, 1, 2].map((level) => latentExtent(shape, level))).toEqual([
      { height: 11, width: 19 },
      { height: 3, width: 5 },
      { height: 1, width: 2 },
    ]);
    expect([0, 1, 2].map((level) => chunkGrid(shape, level))).toEqual([
      { rows: 2, columns: 3 },
      { rows: 1, columns: 1 },
      { rows: 1, columns: 1 },
    ]);
    expect(chunkCount(shape)).toBe(16);
    expect(chunkCount({ ...shape, alpha: false })).toBe(8);
  });

  it('are listed smallest level first, then by plane, row and column', () => {
    const text = chunkList(shape).map(({ level, plane, row, column }) => `${level}${plane}${row}${column}`);
    expect(text.join(' ')).toBe(
      '2000 2100 1000 1100 0000 0001 0002 0010 0011 0012 0100 0101 0102 0110 0111 0112',
    );
  });

  it('are numbered as they are listed', () => {
    const next = seeded(5);
    for (let round = 0; round < 50; round++) {
      const random = {
        width: 1 + Math.floor(next() * 3000),
        height: 1 + Math.floor(next() * 3000),
        alpha: next() < 0.5,
        chunkSize: 8 * (1 + Math.floor(next() * 8)),
        levels: 1 + Math.floor(next() * 3),
        overviewFactor: next() < 0.5 ? (2 as const) : (4 as const),
      };
      const list = chunkList(random);
      expect(list.length).toBe(chunkCount(random));
      expect(list.map((id) => chunkNumber(random, id))).toEqual(list.map((_, i) => i));
      expect(list.every((id) => hasChunk(random, id))).toBe(true);
    }
  });

  it('are smaller at the right and at the bottom, and cover every latent once', () => {
    expect(chunkExtent(shape, { level: 0, plane: 0, row: 0, column: 0 })).toEqual({ height: 8, width: 8 });
    expect(chunkExtent(shape, { level: 0, plane: 1, row: 1, column: 2 })).toEqual({ height: 3, width: 3 });
    for (let level = 0; level < shape.levels; level++) {
      const { height, width } = latentExtent(shape, level);
      const latents = chunkList(shape)
        .filter((id) => id.level === level && id.plane === 0)
        .reduce((sum, id) => sum + chunkExtent(shape, id).height * chunkExtent(shape, id).width, 0);
      expect(latents).toBe(height * width);
    }
  });

  it('are those of the grid and no others', () => {
    const id = { level: 0, plane: 0, row: 1, column: 2 };
    for (const change of [
      { level: 3 },
      { level: -1 },
      { level: 0.5 },
      { plane: 2 },
      { row: 2 },
      { row: -1 },
      { column: 3 },
      { column: Number.NaN },
    ])
      expect(hasChunk(shape, { ...id, ...change })).toBe(false);
    expect(hasChunk({ ...shape, alpha: false }, { ...id, plane: 1 })).toBe(false);
  });

  it('may be 2^20 and not one more', () => {
    const large = { ...shape, alpha: false, levels: 1, chunkSize: 8 };
    expect(indexLength({ ...large, width: 2 ** 17, height: 2 ** 17 }, 16)).toBe(2 ** 24);
    expect(() => indexLength({ ...large, width: 2 ** 17 + 1, height: 2 ** 17 }, 16)).toThrow(FormatError);
    expect(() => indexLength({ ...large, width: 2 ** 24, height: 2 ** 24 }, 16)).toThrow(
      '17179869184 chunks are more than',
    );
  });
});

describe('the index', () => {
  const line = (offset: number | bigint, length: number, crc: number) =>
    concat(littleEndian(offset, 8), littleEndian(length, 4), littleEndian(crc, 4));

  it('is written and read line by line, beyond 4 GiB too', () => {
    const start = 2 ** 33 + 5;
    const entries = [
      { byteOffset: start, length: 16, crc: 0xffffffff },
      { byteOffset: start + 16, length: 142_606_352, crc: 0 },
      { byteOffset: start + 142_606_368, length: 18, crc: 7 },
    ];
    const bytes = concat(
      line(start, 16, 0xffffffff),
      line(start + 16, 142_606_352, 0),
      line(start + 142_606_368, 18, 7),
    );
    expect(writeIndex(entries)).toEqual(bytes);
    expect([...readIndex(bytes, 100, start)]).toEqual(entries);
  });

  const refused: [string, Uint8Array, number][] = [
    ['a first chunk that begins late', line(1002, 16, 0), 0],
    ['a first chunk that begins early', line(998, 16, 0), 0],
    ['a gap', concat(line(1000, 16, 0), line(1018, 16, 0)), 16],
    ['an overlap', concat(line(1000, 16, 0), line(1014, 16, 0)), 16],
    ['two chunks at one place', concat(line(1000, 16, 0), line(1000, 16, 0)), 16],
    ['an offset beyond 2^53', line(2n ** 63n, 16, 0), 0],
    ['an offset that differs only above bit 53', line(2n ** 62n + 1000n, 16, 0), 0],
    ['a chunk of no bytes', line(1000, 0, 0), 8],
    ['a chunk without room for its states', line(1000, 14, 0), 8],
    ['half a word', line(1000, 17, 0), 8],
    ['a chunk longer than any model allows', line(1000, 142_606_354, 0), 8],
    ['a chunk of 4 GiB', line(1000, 0xfffffffe, 0), 8],
  ];
  it.each(refused)('refuses %s and says where', (_, bytes, offset) => {
    const read = () => readIndex(bytes, 500, 1000);
    expect(read).toThrow(FormatError);
    expect(read).toThrow(`index at byte ${500 + offset}:`);
  });
});
