import { beforeAll, describe, expect, it } from 'vitest';
import { chunkList } from '../../src/container/chunks.ts';
import { crcOf } from '../../src/container/crc32c.ts';
import type { Header } from '../../src/container/header.ts';
import { CRC_LENGTH, PREFIX_LENGTH } from '../../src/container/layout.ts';
import { ContainerWriter, MemorySink } from '../../src/container/write.ts';
import { decodeImage } from '../../src/decode.ts';
import { type EncodeOptions, encodeImage } from '../../src/encode.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { FormatError, isLiifError, UnsupportedError } from '../../src/errors.ts';
import type { Raster } from '../../src/image/raster.ts';
import { parseModel } from '../../src/network/load.ts';
import { memorySource } from '../../src/reader/memory-source.ts';
import { openReader } from '../../src/reader/reader.ts';
import { littleEndian, noise, seeded } from '../container/sample-file.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';
import { readChunks } from '../reader/read-chunks.ts';
import { withinMemory, withinTime } from './bounded.ts';

/**
 * Whole decodes of damaged files, some with all CRCs made right. Each ends soon and in bounded memory: with a
 * picture of the size that the header states, the same one every time, or with a FormatError or
 * UnsupportedError.
 */

const engine = openReferenceEngine(parseModel(tinyModelBytes({ seed: 5 })));
const MAX_DECODE_MS = 5000;

interface Sample {
  readonly bytes: Uint8Array;
  readonly header: Header;
  readonly headerLength: number;
  readonly prefixLength: number;
  readonly chunks: readonly Uint8Array[];
  readonly picture: Raster;
}

async function sample(
  width: number,
  height: number,
  channels: Raster['channels'],
  options: EncodeOptions = {},
): Promise<Sample> {
  const next = seeded(3);
  const data = Uint8Array.from(
    { length: width * height * channels },
    (_, i) => ((i * 5) & 127) + next() * 100,
  );
  const raster = { width, height, channels, data };
  const bytes = await encodeImage(engine, raster, { quality: 40, chunkSize: 8, ...options });
  const reader = await openReader(memorySource(bytes));
  return {
    bytes,
    header: reader.header,
    headerLength: new DataView(bytes.buffer).getUint32(12, true),
    prefixLength: reader.prefixLength,
    chunks: await readChunks(reader, chunkList(reader.header)),
    picture: await decodeImage(bytes, { engine }),
  };
}

let small: Sample;
let large: Sample;
beforeAll(async () => {
  small = await sample(16, 16, 1);
  large = await sample(150, 20, 4, {
    overviews: 1,
    sections: { icc: noise(20, 1), text: Uint8Array.of(0x61, 0xc3, 0xa9) },
  });
});

/** The picture of a file, or the FormatError or UnsupportedError with which it was refused. */
async function outcome(bytes: Uint8Array): Promise<Raster | FormatError | UnsupportedError> {
  return withinTime(MAX_DECODE_MS, () =>
    decodeImage(bytes, { engine }).catch((error: unknown) => {
      if (isLiifError(error, 'FormatError') || isLiifError(error, 'UnsupportedError'))
        return error as FormatError | UnsupportedError;
      throw error;
    }),
  );
}

/** Not by comparing arrays of samples in the assertion, which would take longer than all the rest. */
function expectPicture(found: Raster | Error, { data, ...facts }: Raster): void {
  if (found instanceof Error) throw found;
  expect(found).toMatchObject(facts);
  expect(Buffer.compare(Uint8Array.from(found.data), Uint8Array.from(data))).toBe(0);
}

/** A file with these chunks, and all else right. */
async function withChunks({ header }: Sample, chunks: readonly Uint8Array[]): Promise<Uint8Array> {
  const sink = new MemorySink();
  const writer = await ContainerWriter.begin(sink, header, []);
  for (const chunk of chunks) await writer.appendChunk(chunk);
  await writer.end();
  return sink.bytes();
}

/** Makes the CRCs of header and index right. */
function repair(bytes: Uint8Array, { headerLength, prefixLength }: Sample): void {
  const headerEnd = PREFIX_LENGTH + headerLength;
  bytes.set(littleEndian(crcOf(bytes.subarray(0, headerEnd)), 4), headerEnd);
  const indexEnd = prefixLength - CRC_LENGTH;
  bytes.set(littleEndian(crcOf(bytes.subarray(headerEnd + CRC_LENGTH, indexEnd)), 4), indexEnd);
}

describe('a damaged file', () => {
  it('is refused at every length but its own, naming where', () =>
    withinMemory(async () => {
      for (const { bytes, picture } of [small, large]) {
        for (let length = 0; length < bytes.length; length++) {
          const result = await outcome(bytes.slice(0, length));
          expect(result).toBeInstanceOf(FormatError);
          expect((result as FormatError).byteOffset).toBeLessThanOrEqual(length);
        }
        expectPicture(await outcome(bytes), picture);
      }
    }));

  it('is refused after any of 3,900 changes of a byte', () =>
    withinMemory(async () => {
      const next = seeded(1);
      for (let round = 0; round < 3900; round++) {
        const changed = small.bytes.slice();
        changed[Math.floor(next() * changed.length)]! ^= 1 + Math.floor(next() * 255);
        expect(await outcome(changed)).toBeInstanceOf(Error);
      }
    }));

  it('gives its picture where what changed is not needed for it, and is refused where it is', () =>
    withinMemory(async () => {
      const next = seeded(6);
      const { bytes, chunks, picture, prefixLength } = large;
      // A picture is decoded from its own level alone: the overview comes first in the file, the sections
      // last.
      const overviewEnd = prefixLength + chunks[0]!.length + chunks[1]!.length;
      const chunksEnd = bytes.length - 23;
      const parts = [
        { from: 0, to: prefixLength, needed: true },
        { from: prefixLength, to: overviewEnd, needed: false },
        { from: overviewEnd, to: chunksEnd, needed: true },
        { from: chunksEnd, to: bytes.length, needed: false },
      ];
      for (const { from, to, needed } of parts) {
        for (let round = 0; round < (needed ? 50 : 10); round++) {
          const changed = bytes.slice();
          changed[from + Math.floor(next() * (to - from))]! ^= 1 + Math.floor(next() * 255);
          const result = await outcome(changed);
          if (needed) expect(result).toBeInstanceOf(Error);
          else expectPicture(result, picture);
        }
      }
    }));

  it('is decoded or refused after 3,000 changes of header and index whose CRCs have been made right', () =>
    withinMemory(async () => {
      const next = seeded(2);
      let decoded = 0;
      for (let round = 0; round < 3000; round++) {
        const changed = small.bytes.slice();
        for (let i = 0; i <= next() * 2; i++)
          changed[8 + Math.floor(next() * (small.prefixLength - 8))] = next() * 256;
        repair(changed, small);
        const result = await outcome(changed);
        if (result instanceof Error) continue;
        decoded++;
        const { header } = await openReader(memorySource(changed));
        expect([result.width, result.height]).toEqual([header.width, header.height]);
      }
      expect(decoded).toBeGreaterThan(10);
    }));

  it('is decoded or refused after 3,000 changes of chunks whose CRCs have been made right', () =>
    withinMemory(async () => {
      const next = seeded(4);
      const below = (limit: number) => Math.floor(next() * limit);
      const changes: ((chunk: Uint8Array) => Uint8Array)[] = [
        (chunk) => chunk.map((byte, i) => (i === at % chunk.length ? byte ^ (1 << (at % 8)) : byte)),
        (chunk) => chunk.map((byte, i) => (i >= at % chunk.length ? below(256) : byte)),
        (chunk) => chunk.slice(0, Math.max(16, (at % chunk.length) & ~1)),
        (chunk) => Uint8Array.from([...chunk, ...noise(2 + 2 * (at % 40), round)]),
        (chunk) => chunk.map((byte, i) => (i < 16 ? byte : 0)),
        (chunk) => chunk.fill(at % 256, at % chunk.length),
        () => noise(16 + 2 * (at % 300), round),
        () => new Uint8Array(16 + 2 * (at % 300)).fill(0xff),
      ];
      let at = 0;
      let round = 0;
      let refused = 0;
      for (; round < 3000; round++) {
        at = below(1e6);
        const change = changes[round % changes.length]!;
        const chunk = change(small.chunks[0]!.slice());
        const bytes = await withChunks(small, [chunk]);
        const result = await outcome(bytes);
        if (result instanceof UnsupportedError) throw result;
        if (result instanceof Error) {
          refused++;
          expect(result.section).toBe('chunk');
          expect(result.byteOffset).toBeGreaterThanOrEqual(small.prefixLength);
          expect(result.byteOffset).toBeLessThanOrEqual(bytes.length);
        } else expectPicture(await outcome(bytes), result);
      }
      // A chunk that another encoder could have written is as good as any.
      expect(refused).toBeGreaterThan(2000);
    }));

  it('is decoded or refused when its chunks change places', async () => {
    const [first, second, ...rest] = large.chunks;
    expect(rest.length).toBeGreaterThan(0);
    for (const chunks of [
      [second!, first!, ...rest],
      [first!, first!, ...rest],
      [first!, second!, ...rest.reverse()],
      large.chunks.map(() => first!),
    ])
      await outcome(await withChunks(large, chunks));
  });
});

describe('a hostile header around honest chunks', () => {
  const sizes: [string, Partial<Header>][] = [
    ['one pixel less', { width: 15, height: 15 }],
    ['one pixel', { width: 1, height: 1 }],
    ['a whole chunk', { width: 128, height: 128 }],
    ['the largest chunk', { width: 1024, height: 1024, chunkSize: 64 }],
    ['color', { channels: 3 }],
    ['16 bits', { depth: 16 }],
    ['quality 1', { quality: 1 }],
    ['quality 100', { quality: 100 }],
  ];
  it.each(sizes)('that states %s gives its picture or a FormatError, soon', async (_, changes) => {
    await withinMemory(async () => {
      const bytes = await withChunks({ ...small, header: { ...small.header, ...changes } }, small.chunks);
      const result = await outcome(bytes);
      if (result instanceof Error) expect(result).toMatchObject({ _tag: 'FormatError', section: 'chunk' });
      else expect(result.width).toBe(changes.width ?? 16);
    });
  });

  it('that states another model names it', async () => {
    const bytes = await withChunks(
      { ...small, header: { ...small.header, model: new Uint8Array(32) } },
      small.chunks,
    );
    expect(await outcome(bytes)).toBeInstanceOf(UnsupportedError);
    expect(String(await outcome(bytes))).toContain('0'.repeat(64));
  });
});
