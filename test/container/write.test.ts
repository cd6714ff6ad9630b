import { describe, expect, it } from 'vitest';
import type { Header } from '../../src/container/header.ts';
import { ContainerWriter, MemorySink, type Sink } from '../../src/container/write.ts';
import { RequestError } from '../../src/errors.ts';
import { memorySource } from '../../src/reader/memory-source.ts';
import { openReader } from '../../src/reader/reader.ts';
import { FIELDS, noise, noiseChunks, sampleFile } from './sample-file.ts';

const header: Header = { ...FIELDS, sections: [] };

async function write(
  sink: Sink,
  changes: Partial<Header>,
  chunks: readonly Uint8Array[],
  sections: readonly (readonly [string, Uint8Array])[] = [],
): Promise<number> {
  const writer = await ContainerWriter.begin(sink, { ...header, ...changes }, sections);
  for (const chunk of chunks) await writer.appendChunk(chunk);
  return writer.end();
}

describe('ContainerWriter', () => {
  it('writes the bytes that the specification prescribes', async () => {
    const byHand = sampleFile();
    const sink = new MemorySink();
    const size = await write(sink, {}, byHand.chunks, byHand.sections);
    const bytes = sink.bytes();
    expect(size).toBe(bytes.length);
    const reader = await openReader(memorySource(bytes));
    // The header's MessagePack may be spelled in several ways; all that follows may not.
    const [own, expected] = [reader.prefixLength, byHand.firstChunk];
    expect(bytes.subarray(own)).toEqual(byHand.bytes.subarray(expected));
    expect(reader.header).toEqual((await openReader(memorySource(byHand.bytes))).header);
    const shift = expected - own;
    expect([...reader.entries].map((entry) => ({ ...entry, byteOffset: entry.byteOffset + shift }))).toEqual([
      ...(await openReader(memorySource(byHand.bytes))).entries,
    ]);
  });

  it('writes what a reader reads back, chunk for chunk and section for section', async () => {
    const chunks = noiseChunks(16, (i) => 16 + 40 * i);
    const sections = [
      ['exif', noise(300, 1)],
      ['later kind', noise(1, 2)],
      ['xmp', noise(0, 3)],
    ] as const;
    const sink = new MemorySink();
    await write(sink, {}, chunks, sections);
    const reader = await openReader(memorySource(sink.bytes()));
    await reader.verify();
    for (const [type, bytes] of sections) expect(await reader.readSection(type)).toEqual(bytes);
    expect(reader.header.sections.map(({ type }) => type)).toEqual(['exif', 'later kind', 'xmp']);
    const { byteOffset, length } = reader.entries.at(15);
    expect(sink.bytes().subarray(byteOffset, byteOffset + length)).toEqual(chunks[15]);
  });

  it('writes one thing after the other, and ends with what the sink rejects with', async () => {
    const calls = noiseChunks(16).length + 4; // prefix, room for the index, a section, the index
    for (let failing = 0; failing <= calls; failing++) {
      let begun = 0;
      let under = 0;
      const call = async () => {
        expect(under++).toBe(0);
        await new Promise((resolve) => setImmediate(resolve));
        under--;
        if (begun++ === failing) throw new Error('the disk is full');
      };
      const written = write({ write: call, writeAt: call }, {}, noiseChunks(16), [['icc', noise(9, 1)]]);
      if (failing < calls) await expect(written).rejects.toThrow('the disk is full');
      else await written;
      expect(begun).toBe(Math.min(calls, failing + 1));
    }
  });

  it('keeps in memory what was written, whatever the caller does with its bytes', async () => {
    for (const bytes of [Uint8Array.of(1, 2), Buffer.from([1, 2])]) {
      const sink = new MemorySink();
      await sink.write(bytes);
      bytes.fill(9);
      expect([...sink.bytes()]).toEqual([1, 2]);
      await sink.writeAt(0, Uint8Array.of(5));
      expect([...bytes]).toEqual([9, 9]);
    }
  });

  it('goes back only once, to fill in the index', async () => {
    const calls: string[] = [];
    let length = 0;
    const sink: Sink = {
      async write(bytes) {
        length += bytes.length;
        calls.push('write');
      },
      async writeAt(byteOffset, bytes) {
        calls.push(`writeAt ${byteOffset} ${bytes.length} of ${length}`);
      },
    };
    const file = sampleFile();
    await write(sink, {}, file.chunks, file.sections);
    expect(calls.filter((call) => call !== 'write')).toHaveLength(1);
    expect(calls.at(-1)).toMatch(/^writeAt \d+ 260 of/);
  });

  it('keeps nothing of a chunk that the caller uses again', async () => {
    const sink = new MemorySink();
    const writer = await ContainerWriter.begin(sink, header, []);
    const buffer = new Uint8Array(16);
    for (let i = 0; i < 16; i++) await writer.appendChunk(buffer.fill(i));
    await writer.end();
    await (await openReader(memorySource(sink.bytes()))).verify();
  });

  const refused: [string, Partial<Header>][] = [
    ['width', { width: 0 }],
    ['width', { width: 2 ** 24 + 1 }],
    ['height', { height: Number.NaN }],
    ['quality', { quality: 101 }],
    ['quality', { quality: 50.5 }],
    ['model', { model: new Uint8Array(31) }],
    ['encoder', { encoder: 'x'.repeat(65) }],
    ['chunkSize', { chunkSize: 20 }],
    ['levels', { levels: 7 }],
    ['chunks', { width: 2 ** 24, height: 2 ** 24 }],
  ];
  it.each(refused)(
    'refuses a header with a wrong number of %s before anything is written',
    async (word, changes) => {
      const sink = new MemorySink();
      const begun = ContainerWriter.begin(sink, { ...header, ...changes }, []);
      await expect(begun).rejects.toThrow(RequestError);
      await expect(begun).rejects.toThrow(word);
      expect(sink.bytes().length).toBe(0);
    },
  );

  it('refuses sections that no header can list', async () => {
    const empty = new Uint8Array();
    const begin = (sections: [string, Uint8Array][]) =>
      ContainerWriter.begin(new MemorySink(), header, sections);
    await expect(begin(Array.from({ length: 17 }, (_, i) => [`s${i}`, empty]))).rejects.toThrow(RequestError);
    await expect(begin([['', empty]])).rejects.toThrow(RequestError);
    await expect(
      begin([
        ['icc', empty],
        ['icc', empty],
      ]),
    ).rejects.toThrow(RequestError);
    await expect(begin([['icc', new Uint8Array(2 ** 28 + 1)]])).rejects.toThrow('more than 268435456');
  });

  it('begins pictures of as many chunks as an index may list, and no larger ones', async () => {
    const lengths: number[] = [];
    const sink: Sink = { write: async ({ length }) => void lengths.push(length), writeAt: async () => {} };
    const begin = (columns: number) => {
      const fields = { width: 128 * columns, height: 128 * 1024, chunkSize: 8, levels: 1, alpha: false };
      return ContainerWriter.begin(sink, { ...header, ...fields }, []);
    };
    await expect(begin(1025)).rejects.toThrow('has too many chunks of 8 latents');
    expect(lengths).toEqual([]);
    await begin(1024);
    expect(lengths[1]).toBe(16 * 2 ** 20 + 4);
  });

  it('does not end a file with too few chunks or take too many', async () => {
    const writer = await ContainerWriter.begin(new MemorySink(), header, []);
    await writer.appendChunk(noise(16, 1));
    await expect(writer.end()).rejects.toThrow('1 of 16 chunks');
    for (let i = 1; i < 16; i++) await writer.appendChunk(noise(16, 1));
    await expect(writer.appendChunk(noise(16, 1))).rejects.toThrow('16 chunks have been written');
  });
});

describe('MemorySink', () => {
  it('replaces bytes across the parts in which they came', async () => {
    const sink = new MemorySink();
    for (const part of [[1, 2], [3], [], [4, 5, 6]]) await sink.write(Uint8Array.from(part));
    await sink.writeAt(1, Uint8Array.of(20, 30, 40));
    expect([...sink.bytes()]).toEqual([1, 20, 30, 40, 5, 6]);
    await sink.writeAt(4, Uint8Array.of(50, 60));
    expect([...sink.bytes()]).toEqual([1, 20, 30, 40, 50, 60]);
  });
});
