import { describe, expect, it } from 'vitest';
import { chunkList } from '../../src/container/chunks.ts';
import { FormatError, RequestError, SourceError, UnsupportedError } from '../../src/errors.ts';
import { memorySource } from '../../src/reader/memory-source.ts';
import { openReader } from '../../src/reader/reader.ts';
import { noise, noiseChunks, sampleFile } from '../container/sample-file.ts';
import { CountingSource } from './counting-source.ts';
import { readChunks } from './read-chunks.ts';

/** 4000 x 4000 pixels in 32 x 32 chunks: an index of 16 KiB, which the first read does not hold. */
const wide = () =>
  sampleFile({
    fields: { width: 4000, height: 4000, alpha: false, levels: 1 },
    chunks: noiseChunks(1024),
  });

describe('openReader', () => {
  it('reads 16 KiB and nothing else where they hold header and index', async () => {
    const file = sampleFile({ chunks: noiseChunks(16, () => 4096) });
    const source = new CountingSource(file.bytes);
    const reader = await openReader(source);
    expect(source.asked).toEqual([[0, 16_384]]);
    expect(reader.bytesRead).toBe(16_384);
    expect(reader.header.width).toBe(300);
    expect(reader.prefixLength).toBe(file.firstChunk);
    expect(reader.fileLength).toBe(file.bytes.length);
    expect([...reader.entries].map(({ byteOffset }) => byteOffset)).toEqual(file.chunkOffsets);
  });

  it('reads exactly the rest of a longer index', async () => {
    const file = wide();
    const source = new CountingSource(file.bytes);
    const reader = await openReader(source);
    expect(file.firstChunk).toBeGreaterThan(16_384);
    expect(source.asked).toEqual([
      [0, 16_384],
      [16_384, file.firstChunk - 16_384],
    ]);
    expect(reader.entries).toHaveLength(1024);
    await reader.verify();
  });

  it('reads a header of 64 KiB, in two reads if the index is short', async () => {
    const file = sampleFile({
      fields: { later: 'x'.repeat(200), more: Array.from({ length: 255 }, () => 'y'.repeat(250)) },
    });
    expect(file.headerLength).toBeGreaterThan(64_000);
    const source = new CountingSource(file.bytes);
    expect((await openReader(source)).header.height).toBe(170);
    expect(source.asked).toHaveLength(3);
  });

  it('refuses more chunks than the caller takes, before the index is read', async () => {
    const source = new CountingSource(wide().bytes);
    await expect(openReader(source, { maxChunks: 1023 })).rejects.toThrow(
      new UnsupportedError('The file has 1024 chunks; 1023 are allowed here'),
    );
    expect(source.asked).toHaveLength(1);
    expect((await openReader(source, { maxChunks: 1024 })).header.width).toBe(4000);
  });

  it('rejects with the reason of the signal', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(openReader(memorySource(sampleFile().bytes), { signal })).rejects.toThrow('enough');
  });
});

describe('Reader', () => {
  it('reads every chunk and section as it was written', async () => {
    const file = sampleFile();
    const reader = await openReader(memorySource(file.bytes));
    expect(await readChunks(reader, chunkList(reader.header))).toEqual(file.chunks);
    expect(await reader.readChunk({ level: 0, plane: 1, row: 1, column: 2 })).toEqual(file.chunks[15]);
    expect(await reader.readSection('icc')).toEqual(file.sections[0]![1]);
    expect(await reader.readSection('text')).toEqual(new Uint8Array());
    expect(await reader.readSection('exif')).toBeUndefined();
  });

  it('asks for the chunks and nothing else', async () => {
    const file = sampleFile({ chunks: noiseChunks(16, (i) => 6000 + 2 * i) });
    const source = new CountingSource(file.bytes);
    const reader = await openReader(source);
    source.asked.length = 0;
    const before = reader.bytesRead;
    await reader.readChunk({ level: 0, plane: 0, row: 0, column: 1 });
    await reader.readChunk({ level: 0, plane: 0, row: 1, column: 1 });
    expect(source.asked).toEqual([
      [file.chunkOffsets[5], file.chunks[5]!.length],
      [file.chunkOffsets[8], file.chunks[8]!.length],
    ]);
    expect(reader.bytesRead - before).toBe(file.chunks[5]!.length + file.chunks[8]!.length);
  });

  it('asks for nothing twice: what the first read holds of chunks and sections comes from it', async () => {
    const file = sampleFile({ chunks: noiseChunks(16, (i) => [3000, 9000, 2000, 5000][i] ?? 20) });
    const source = new CountingSource(file.bytes);
    const reader = await openReader(source);
    source.asked.length = 0;
    const ids = chunkList(reader.header);
    expect(await reader.readChunk(ids[1]!)).toEqual(file.chunks[1]);
    expect(await readChunks(reader, [ids[0]!, ids[2]!])).toEqual([file.chunks[0], file.chunks[2]]);
    expect(source.asked).toEqual([]);
    // The fourth lies across its end.
    expect(await reader.readChunk(ids[3]!)).toEqual(file.chunks[3]);
    const end = file.chunkOffsets[4]!;
    expect(source.asked).toEqual([[16_384, end - 16_384]]);
    expect(reader.bytesRead).toBe(end);
    expect(await readChunks(reader, ids)).toEqual(file.chunks);
  });

  it('reads a small file once, whether its source knows the size or not', async () => {
    for (const known of [true, false]) {
      const file = sampleFile();
      const source = new CountingSource(file.bytes, { known });
      const reader = await openReader(source);
      expect(await readChunks(reader, chunkList(reader.header))).toEqual(file.chunks);
      expect(await reader.readSection('icc')).toEqual(file.sections[0]![1]);
      expect(source.asked).toEqual([[0, 16_384]]);
      expect(reader.bytesRead).toBe(file.bytes.length);
    }
  });

  it('joins chunks that lie next to each other, and not those that lie apart', async () => {
    const file = sampleFile({ chunks: noiseChunks(16, () => 6000) });
    const source = new CountingSource(file.bytes);
    const reader = await openReader(source);
    source.asked.length = 0;
    const at = (row: number, column: number) => ({ level: 0, plane: 0, row, column });
    const found = await readChunks(reader, [at(1, 1), at(0, 1), at(0, 0), at(1, 0)]);
    expect(found).toEqual([8, 5, 4, 7].map((i) => file.chunks[i]));
    expect(source.asked).toEqual([
      [file.chunkOffsets[4], 12_000],
      [file.chunkOffsets[7], 12_000],
    ]);
  });

  it('refuses chunks that the file does not have', async () => {
    const reader = await openReader(memorySource(sampleFile().bytes));
    for (const id of [
      { level: 3, plane: 0, row: 0, column: 0 },
      { level: 0, plane: 2, row: 0, column: 0 },
      { level: 0, plane: 0, row: 2, column: 0 },
      { level: 0, plane: 0, row: 0, column: -1 },
    ])
      await expect(reader.readChunk(id)).rejects.toThrow(RequestError);
  });

  it('names a damaged chunk by its offset, and the chunks beside it stay readable', async () => {
    const file = sampleFile();
    file.bytes[file.chunkOffsets[6]! + 3]! ^= 16;
    const reader = await openReader(memorySource(file.bytes));
    const ids = chunkList(reader.header);
    await expect(reader.readChunk(ids[6]!)).rejects.toMatchObject({
      _tag: 'FormatError',
      section: 'chunk',
      byteOffset: file.chunkOffsets[6],
    } satisfies Partial<FormatError>);
    const results = await Promise.allSettled(ids.map((id) => reader.readChunk(id)));
    expect(results.flatMap(({ status }, i) => (status === 'rejected' ? [i] : []))).toEqual([6]);
  });

  it('tries again after a failure', async () => {
    const file = sampleFile({ chunks: noiseChunks(16, () => 6000) });
    const inner = new CountingSource(file.bytes);
    let failing = false;
    const reader = await openReader({
      name: 'flaky',
      size: inner.size,
      getBytes: (...args) =>
        failing ? Promise.reject(new SourceError('flaky: gone')) : inner.getBytes(...args),
      close: () => inner.close(),
    });
    const id = chunkList(reader.header)[3]!;
    failing = true;
    await expect(reader.readChunk(id)).rejects.toThrow(SourceError);
    failing = false;
    expect(await reader.readChunk(id)).toEqual(file.chunks[3]);
  });

  it('counts the places of what an engine finds in a chunk from the start of the file, and leaves other errors alone', async () => {
    const file = sampleFile();
    const reader = await openReader(memorySource(file.bytes));
    const id = chunkList(reader.header)[3]!;
    const found = new FormatError('chunk', 4, 'state 1 is 7, below 2^16');
    expect(reader.located(id, found)).toMatchObject({
      section: 'chunk',
      byteOffset: file.chunkOffsets[3]! + 4,
      reason: found.reason,
      cause: found,
    });
    const other = new RequestError('Expected a quality');
    expect(reader.located(id, other)).toBe(other);
  });

  it('passes the signal of the caller to the source, whatever is read, and stops with its reason', async () => {
    const file = sampleFile({ chunks: noiseChunks(16, () => 6000), sections: [['icc', noise(100, 5)]] });
    const inner = new CountingSource(file.bytes, { known: false });
    const signals: (AbortSignal | undefined)[] = [];
    const reader = await openReader({
      name: 'noting',
      size: undefined,
      getBytes: (offset, length, signal) => {
        signals.push(signal);
        return inner.getBytes(offset, length, signal);
      },
      close: () => inner.close(),
    });
    const id = chunkList(reader.header)[9]!;
    for (const read of [
      (signal: AbortSignal) => reader.readChunk(id, signal),
      (signal: AbortSignal) => readChunks(reader, [id], signal),
      (signal: AbortSignal) => reader.readSection('icc', signal),
    ]) {
      const controller = new AbortController();
      const reading = read(controller.signal);
      controller.abort('enough');
      await expect(reading).rejects.toBe('enough');
    }
    signals.length = 0;
    const { signal } = new AbortController();
    await reader.verify(undefined, signal);
    // The last one asks whether there is more than the file has.
    expect(signals).toHaveLength(2);
    expect(new Set(signals)).toEqual(new Set([signal]));
  });

  it('closes its source', async () => {
    const source = new CountingSource(sampleFile().bytes);
    await (await openReader(source)).close();
    expect(source.closed).toBe(true);
  });
});

describe('verify', () => {
  /** Chunks across the megabytes that verify reads at once. */
  const large = () =>
    sampleFile({
      chunks: noiseChunks(16, (i) => [16, 175_000, 1_048_576, 625_000][i] ?? 3000 + 2 * i),
      sections: [['icc', noise(300_000, 5)]],
    });

  it('reads every byte once, from front to back', async () => {
    const file = large();
    const source = new CountingSource(file.bytes);
    const reader = await openReader(source);
    source.asked.length = 0;
    const seen: number[] = [];
    await reader.verify((done, total) => {
      expect(total).toBe(file.bytes.length);
      seen.push(done);
    });
    let next = 16_384; // what opening has read
    for (const [offset, length] of source.asked) {
      expect(offset).toBe(next);
      expect(length).toBeLessThanOrEqual(2 ** 20);
      next += length;
    }
    expect(next).toBe(file.bytes.length);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(file.bytes.length);
  });

  it('finds a flipped bit in any chunk and any section', async () => {
    const file = large();
    for (const [section, offset, length] of [
      ...file.chunks.map((chunk, i) => ['chunk', file.chunkOffsets[i]!, chunk.length] as const),
      ['section', file.bytes.length - 300_000, 300_000] as const,
    ]) {
      const at = offset + Math.floor(length / 3);
      file.bytes[at]! ^= 1;
      const reader = await openReader(memorySource(file.bytes));
      await expect(reader.verify()).rejects.toMatchObject({ section, byteOffset: offset });
      file.bytes[at]! ^= 1;
    }
    await (await openReader(memorySource(file.bytes))).verify();
  });

  it('finds missing and surplus bytes where the source did not know its size', async () => {
    const { bytes } = large();
    const open = (part: Uint8Array) => openReader(new CountingSource(part, { known: false }));
    await (await open(bytes)).verify();
    await expect((await open(bytes.subarray(0, -1))).verify()).rejects.toMatchObject({ section: 'section' });
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    await expect((await open(longer)).verify()).rejects.toThrow('bytes follow the end');
  });

  it('stops when aborted', async () => {
    const controller = new AbortController();
    const reader = await openReader(memorySource(large().bytes));
    const verified = reader.verify(() => controller.abort(new Error('enough')), controller.signal);
    await expect(verified).rejects.toThrow('enough');
  });
});
