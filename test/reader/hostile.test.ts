import { describe, expect, it } from 'vitest';
import { chunkList } from '../../src/container/chunks.ts';
import { FormatError, isLiifError, UnsupportedError } from '../../src/errors.ts';
import { openReader, type Reader } from '../../src/reader/reader.ts';
import {
  concat,
  type FileParts,
  noise,
  noiseChunks,
  pack,
  Raw,
  type SampleFile,
  sampleFile,
  seeded,
} from '../container/sample-file.ts';
import { CountingSource } from './counting-source.ts';
import { readChunks } from './read-chunks.ts';

/** Everything a container reader does with a file. */
async function readAll(reader: Reader): Promise<void> {
  await readChunks(reader, chunkList(reader.header));
  for (const { type } of reader.header.sections) await reader.readSection(type);
  await reader.verify();
}

async function failure(bytes: Uint8Array, known = true): Promise<unknown> {
  const source = new CountingSource(bytes, { known });
  try {
    await readAll(await openReader(source));
  } catch (error) {
    return error;
  }
  return undefined;
}

/** A file with one field of one line of its index changed: 0 the offset, 1 the length, 2 the CRC. */
function changed(line: number, field: 0 | 1 | 2, to: (was: number) => number | bigint): FileParts {
  return {
    entry(entry, number) {
      if (number === line) (entry as (number | bigint)[])[field] = to(Number(entry[field]));
    },
  };
}

/** Which part of the file a byte belongs to. */
function partAt(file: SampleFile, offset: number): string {
  if (offset < 16) return 'prefix';
  if (offset < file.indexOffset) return 'header';
  if (offset < file.firstChunk) return 'index';
  const end = file.chunkOffsets.at(-1)! + file.chunks.at(-1)!.length;
  return offset < end ? 'chunk' : 'section';
}

describe('a truncated file', () => {
  const file = sampleFile();

  for (const known of [true, false]) {
    it(`is refused at every length, naming the part that ends early, by a source that ${known ? 'knows' : 'does not know'} its size`, async () => {
      for (let length = 0; length < file.bytes.length; length++) {
        const error = await failure(file.bytes.subarray(0, length), known);
        expect(error, `length ${length}`).toBeInstanceOf(FormatError);
        const { section, byteOffset, message } = error as FormatError;
        expect(section, `length ${length}: ${message}`).toBe(partAt(file, length));
        expect(byteOffset).toBeLessThanOrEqual(length);
        expect(message).toContain(length > 0 && length < 8 ? 'the file ends' : 'ends after');
      }
    });
  }

  it('is read up to its end by a source that does not know its size: whole chunks before the cut stay readable', async () => {
    const cut = file.chunkOffsets[9]! + 5;
    const reader = await openReader(new CountingSource(file.bytes.subarray(0, cut), { known: false }));
    const ids = chunkList(reader.header);
    expect(await readChunks(reader, ids.slice(0, 9))).toEqual(file.chunks.slice(0, 9));
    await expect(reader.readChunk(ids[9]!)).rejects.toMatchObject({
      section: 'chunk',
      byteOffset: file.chunkOffsets[9],
    });
  });
});

describe('a damaged file', () => {
  it('is refused after any of 10,000 flips of a bit, naming the part', async () => {
    const file = sampleFile();
    const next = seeded(2024);
    const parts = new Set<string>();
    for (let round = 0; round < 10_000; round++) {
      // Half of them before the chunks, which are the longer part.
      const within = round % 2 === 0 ? file.firstChunk : file.bytes.length;
      const bytes = file.bytes.slice();
      const at = Math.floor(next() * within);
      bytes[at]! ^= 1 << Math.floor(next() * 8);
      const error = await failure(bytes);
      if (error instanceof UnsupportedError) {
        expect(at).toBeGreaterThanOrEqual(8);
        expect(at).toBeLessThan(12);
        continue;
      }
      expect(error, `byte ${at}`).toBeInstanceOf(FormatError);
      const { section, byteOffset } = error as FormatError;
      if (section === 'header') expect(byteOffset).toBeGreaterThanOrEqual(16);
      // A wrong length of the header moves what comes after.
      if (at >= 12 && at < 16) expect(['prefix', 'header']).toContain(section);
      else expect(section, `byte ${at}`).toBe(partAt(file, at));
      parts.add(section);
    }
    expect([...parts].sort()).toEqual(['chunk', 'header', 'index', 'prefix', 'section']);
  });

  it('is refused or read without harm after 10,000 changes of the header whose CRC has been made right', async () => {
    const next = seeded(7);
    const header = sampleFile({ sections: [] });
    const original = header.bytes.subarray(16, 16 + header.headerLength);
    let readable = 0;
    for (let round = 0; round < 10_000; round++) {
      const changed = original.slice();
      for (let i = 0; i <= next() * 3; i++)
        changed[Math.floor(next() * changed.length)] = next() < 0.5 ? next() * 256 : 0xc0 + next() * 64;
      const error = await failure(sampleFile({ header: changed, sections: [] }).bytes);
      if (error === undefined) readable++;
      else if (!isLiifError(error, 'FormatError')) throw error;
    }
    // Changes of the hash, of quality and of the encoder's name, mostly.
    expect(readable).toBeGreaterThan(100);
    expect(readable).toBeLessThan(9000);
  });

  it('is refused or read without harm after 3,000 changes of the index whose CRC has been made right', async () => {
    const next = seeded(9);
    for (let round = 0; round < 3000; round++) {
      const which = Math.floor(next() * 16);
      const field = Math.floor(next() * 3) as 0 | 1 | 2;
      const value = [
        () => 0,
        () => 2 ** 32 - 1,
        () => Math.floor(next() * 2 ** 32),
        () => Math.floor(next() * 64),
      ][Math.floor(next() * 4)]!();
      const { bytes } = sampleFile(changed(which, field, (was) => (value === was ? value + 1 : value)));
      const error = await failure(bytes);
      if (!isLiifError(error, 'FormatError')) throw error ?? new Error(`field ${field} = ${value}`);
    }
  });
});

describe('a hostile file', () => {
  const later = (value: unknown): FileParts => ({ fields: { later: value } });
  const duplicate = () => {
    const header = concat(
      sampleFile().bytes.subarray(16, 16 + sampleFile().headerLength),
      pack('width'),
      [1],
    );
    header[2]!++;
    return { header };
  };
  const max = 2 ** 24;
  const cases: [string, FileParts, string, string?][] = [
    ['another magic', { magic: noise(8, 3) }, 'prefix'],
    ['the magic of PNG', { magic: Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a) }, 'prefix'],
    ['version 0', { version: 0 }, 'unsupported'],
    ['version 2', { version: 2 }, 'unsupported', 'version 2'],
    ['a flag', { flags: 1 }, 'unsupported'],
    ['the last flag', { flags: 0x8000 }, 'unsupported', '0x8000'],
    ['a header of no bytes', { headerLength: 0 }, 'prefix'],
    ['a header longer than the limit', { headerLength: 65_537 }, 'prefix'],
    ['a header of 4 GiB', { headerLength: 2 ** 32 - 1 }, 'prefix'],
    ['a header longer than the file', { headerLength: 65_536 }, 'header', 'ends after'],
    ['a header longer than stated', { headerLength: 20 }, 'header'],
    ['bytes after its end', { trailing: Uint8Array.of(0) }, 'section', 'bytes follow'],
    ['a width of 0', { fields: { width: 0 } }, 'header', 'width'],
    ['a height of 0', { fields: { height: 0 } }, 'header', 'height'],
    ['2^48 pixels', { fields: { width: max, height: max, levels: 1 } }, 'header', 'chunks are more'],
    [
      '2^20 chunks that are not there',
      { fields: { width: 2 ** 17, height: 2 ** 16, levels: 1 } },
      'index',
      'ends after',
    ],
    ['a width beyond the limit', { fields: { width: max + 1 } }, 'header', 'width'],
    ['levels beyond one pixel', { fields: { levels: 7 } }, 'header', 'too many'],
    ['a level less than it has', { fields: { levels: 2 } }, 'index'],
    ['a level more than it has', { fields: { levels: 4 } }, 'index'],
    ['no alpha plane, but chunks for it', { fields: { alpha: false } }, 'index'],
    ['another size of chunks', { fields: { chunkSize: 16 } }, 'index'],
    ['a chunk too many', { chunks: noiseChunks(17) }, 'index'],
    ['a chunk too few', { chunks: noiseChunks(15) }, 'index'],
    ['a chunk of no bytes', { chunks: noiseChunks(16, (i) => (i === 5 ? 0 : 16)) }, 'index'],
    ['a chunk of odd length', { chunks: noiseChunks(16, (i) => (i === 5 ? 17 : 16)) }, 'index'],
    ['a chunk that begins in the one before', changed(3, 0, (offset) => offset - 2), 'index'],
    ['a gap between chunks', changed(3, 0, (offset) => offset + 2), 'index'],
    ['an offset of 2^63', changed(3, 0, () => 2n ** 63n), 'index'],
    ['a last chunk of 4 GiB', changed(15, 1, () => 2 ** 32 - 2), 'index'],
    ['a last chunk of 100 MB that is not there', changed(15, 1, () => 1e8), 'chunk', 'ends after'],
    ['a section of 2^28 bytes that is not there', { fields: { sections: [['icc', 2 ** 28, 0]] } }, 'section'],
    ['a section of 2^40 bytes', { fields: { sections: [['icc', 2 ** 40, 0]] } }, 'header', 'sections'],
    ['a section that is not listed', { fields: { sections: [] } }, 'section', 'bytes follow'],
    ['17 sections', { fields: { sections: Array.from({ length: 17 }, (_, i) => [`${i}`, 0, 0]) } }, 'header'],
    ['a key twice', duplicate(), 'header', 'occurs twice'],
    ['an extension type', later(new Raw(0xd4, 1, 0)), 'header', 'does not occur'],
    ['deep nesting', later(new Raw(...new Array<number>(50_000).fill(0x91), 0)), 'header', 'nested deeper'],
    ['an array of 2^32 values', later(new Raw(0xdd, 255, 255, 255, 255)), 'header', 'in the middle'],
    ['a map of 2^32 values', later(new Raw(0xdf, 255, 255, 255, 255)), 'header', 'in the middle'],
    ['a string of 4 GiB', later(new Raw(0xdb, 255, 255, 255, 255)), 'header', 'in the middle'],
    ['bytes of 4 GiB', later(new Raw(0xc6, 255, 255, 255, 255)), 'header', 'in the middle'],
    ['a header that goes on behind its map', { header: concat(pack({}), [0]) }, 'header', 'follow the map'],
    ['an empty map', { header: Uint8Array.of(0x80) }, 'header', 'is missing'],
    ['a quality that is not a number', { fields: { quality: Number.NaN } }, 'header', 'quality'],
    ['an infinite width', { fields: { width: Number.POSITIVE_INFINITY } }, 'header', 'width'],
    ['a negative height', { fields: { height: -1 } }, 'header', 'height'],
  ];

  it.each(cases)(
    'with %s is refused before memory is reserved for it',
    async (_, parts, section, words = '') => {
      const { bytes } = sampleFile(parts);
      for (const known of [true, false]) {
        const source = new CountingSource(bytes, { known });
        const before = process.memoryUsage();
        const error = await openReader(source)
          .then(known ? () => undefined : readAll)
          .catch((reason: unknown) => reason);
        const after = process.memoryUsage();
        if (section === 'unsupported') expect(error).toBeInstanceOf(UnsupportedError);
        else expect(error).toMatchObject({ _tag: 'FormatError', section });
        expect((error as Error).message).toContain(words);
        expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(2 ** 20);
        expect(after.heapUsed - before.heapUsed).toBeLessThan(32 * 2 ** 20);
        // A source that knows its size is never asked beyond its end, but for the first read.
        if (known)
          for (const [offset, length] of source.asked.slice(1))
            expect(offset + length).toBeLessThanOrEqual(bytes.length);
      }
    },
  );

  it('with 64 KiB of tiny values in its header takes little memory', async () => {
    for (const value of [0x80, 0x90, 0xa0, 0xc0]) {
      const count = 60_000;
      const many = new Raw(0xdd, 0, 0, count >> 8, count & 255, ...new Array<number>(count).fill(value));
      const { bytes } = sampleFile(later(many));
      const before = process.memoryUsage().heapUsed;
      await openReader(new CountingSource(bytes));
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 2 ** 20);
    }
  });
});
