import { openAsBlob } from 'node:fs';
import {
  type FileHandle,
  type FileReadOptions,
  mkdtemp,
  open,
  rename,
  rm,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { chunkList } from '../../src/container/chunks.ts';
import { SourceError } from '../../src/errors.ts';
import { blobSource } from '../../src/reader/blob-source.ts';
import { fileSource } from '../../src/reader/file-source.ts';
import { memorySource } from '../../src/reader/memory-source.ts';
import { openReader } from '../../src/reader/reader.ts';
import type { Source } from '../../src/reader/source.ts';
import { noise, sampleFile } from '../container/sample-file.ts';
import { readChunks } from './read-chunks.ts';

let folder: string;
let path: string;
const bytes = noise(100_000, 6);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-source-'));
  path = join(folder, 'file.liif');
  await writeFile(path, bytes);
});
afterEach(() => rm(folder, { recursive: true }));

const sources: [string, () => Source | Promise<Source>][] = [
  ['memorySource', () => memorySource(bytes)],
  ['blobSource', () => blobSource(new Blob([bytes.slice().buffer as ArrayBuffer]))],
  ['fileSource', () => fileSource(path)],
];
describe.each(sources)('%s', (_, openSource) => {
  it('stops with the reason of the signal, also where it is only to look for changes', async () => {
    const source = await openSource();
    const signal = AbortSignal.abort('enough');
    await expect(source.getBytes(0, 10, signal)).rejects.toBe('enough');
    if (source.expectUnchanged) await expect(source.expectUnchanged(signal)).rejects.toBe('enough');
    const controller = new AbortController();
    const reading = source.getBytes(0, 10, controller.signal);
    controller.abort('enough');
    if (source.name !== 'memory') await expect(reading).rejects.toBe('enough');
    await source.close();
  });

  it('gives ranges, and fewer bytes only where the file ends', async () => {
    const source = await openSource();
    expect(source.size).toBe(100_000);
    expect(await source.getBytes(0, 10)).toEqual(bytes.slice(0, 10));
    expect(await source.getBytes(54_321, 12_345)).toEqual(bytes.slice(54_321, 66_666));
    expect(await source.getBytes(99_990, 100)).toEqual(bytes.slice(99_990));
    expect(await source.getBytes(100_000, 1)).toEqual(new Uint8Array());
    expect(await source.getBytes(2 ** 40, 1)).toEqual(new Uint8Array());
    expect(await source.getBytes(5, 0)).toEqual(new Uint8Array());
    const several = await Promise.all([0, 1, 2].map((i) => source.getBytes(i * 1000, 1000)));
    expect(several).toEqual([0, 1, 2].map((i) => bytes.slice(i * 1000, i * 1000 + 1000)));
    await source.close();
  });

  it('rejects with the reason of the signal', async () => {
    const source = await openSource();
    await expect(source.getBytes(0, 10, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    await source.close();
  });
});

it('blobSource says what can be done where a file has changed since it was chosen', async () => {
  const source = blobSource(await openAsBlob(path), 'mine.liif');
  await writeFile(path, bytes.subarray(0, 10));
  await expect(source.getBytes(0, 10)).rejects.toThrow(SourceError);
  await expect(source.getBytes(0, 10)).rejects.toThrow(/^mine\.liif: cannot be read; .* choose it again/);
});

describe('fileSource', () => {
  it('says what is wrong with a path', async () => {
    await expect(fileSource(join(folder, 'none.liif'))).rejects.toThrow(SourceError);
    await expect(fileSource(join(folder, 'none.liif'))).rejects.toThrow('no such file');
    await expect(fileSource(folder)).rejects.toThrow(`${folder}: is a directory; name a file in it`);
    await expect(fileSource('/dev/null')).rejects.toThrow('not a file');
  });

  it('reads on where the system gives less than was asked for', async () => {
    const handle = await open(path);
    const prototype = Object.getPrototypeOf(handle) as FileHandle;
    await handle.close();
    const read = prototype.read as (options: FileReadOptions<Uint8Array>) => ReturnType<FileHandle['read']>;
    const reads = vi.spyOn(prototype, 'read').mockImplementation(function (this: FileHandle, ...[options]) {
      const { length, ...others } = options as unknown as FileReadOptions<Uint8Array>;
      return read.call(this, { ...others, length: Math.min(length!, 1000) }) as never;
    });
    onTestFinished(() => reads.mockRestore());
    const source = await fileSource(path);
    expect(await source.getBytes(100, 2500)).toEqual(bytes.slice(100, 2600));
    expect(reads).toHaveBeenCalledTimes(3);
    await source.close();
  });

  it('reserves no more memory than the file has bytes', async () => {
    const source = await fileSource(path);
    const before = process.memoryUsage().arrayBuffers;
    expect((await source.getBytes(0, 2 ** 40)).length).toBe(100_000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
    await source.close();
  });

  const changes: [string, () => Promise<unknown>][] = [
    [
      'made longer by somebody who sets its time back',
      async () => {
        await writeFile(path, bytes, { flag: 'a' });
        await utimes(path, 1000, 1000);
      },
    ],
    ['truncated', () => truncate(path, 50_000)],
    ['made longer', () => writeFile(path, bytes, { flag: 'a' })],
    [
      'written over at the same length',
      async () => {
        const handle = await open(path, 'r+');
        await handle.write(noise(10, 1), 0, 10, 20);
        await handle.close();
        await utimes(path, new Date(), new Date(Date.now() + 5000));
      },
    ],
  ];
  it.each(changes)('rejects once the file has been %s', async (_, change) => {
    await utimes(path, 1000, 1000);
    const source = await fileSource(path);
    await source.getBytes(0, 100);
    await change();
    await expect(source.getBytes(0, 100)).rejects.toThrow(SourceError);
    await expect(source.getBytes(60_000, 100)).rejects.toMatchObject({ code: 'changed' });
    await source.close();
  });

  it('reads on from the file it opened when another takes its place', async () => {
    const source = await fileSource(path);
    await writeFile(`${path}.new`, noise(100_000, 7));
    await rename(`${path}.new`, path);
    expect(await source.getBytes(0, 100)).toEqual(bytes.slice(0, 100));
    await source.close();
    const now = await fileSource(path);
    expect(await now.getBytes(0, 100)).toEqual(noise(100_000, 7).slice(0, 100));
    await now.close();
  });

  it('rejects with SourceError after it has been closed', async () => {
    const source = await fileSource(path);
    await source.close();
    await expect(source.getBytes(0, 10)).rejects.toThrow(SourceError);
  });

  it.each(changes)('serves a reader, which does not go on once the file has been %s', async (_, change) => {
    const file = sampleFile();
    await writeFile(path, file.bytes);
    await utimes(path, 1000, 1000);
    const reader = await openReader(await fileSource(path));
    const [id] = chunkList(reader.header);
    expect(await reader.readChunk(id!)).toEqual(file.chunks[0]);
    await change();
    // Also where the chunk is among the bytes that opening has read.
    await expect(reader.readChunk(id!)).rejects.toMatchObject({ code: 'changed' });
    await reader.close();
    await expect(reader.readChunk(id!)).rejects.toThrow(SourceError);
  });

  it('serves a reader, which blames the source and not the file when it is truncated while open', async () => {
    const file = sampleFile();
    await writeFile(path, file.bytes);
    const reader = await openReader(await fileSource(path));
    const ids = chunkList(reader.header);
    expect(await readChunks(reader, ids)).toEqual(file.chunks);
    await truncate(path, file.chunkOffsets[8]!);
    await expect(reader.readChunk(ids[12]!)).rejects.toThrow(SourceError);
    await reader.close();
  });
});
