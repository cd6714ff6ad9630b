import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { FromDecoder, PictureFacts, ToDecoder } from '../../viewer/decoder/decoder-messages.ts';
import { DecodeError, LocalDecoder, type OpenOptions } from '../../viewer/decoder/local-decoder.ts';
import { Edition } from '../../viewer/tiles/edition.ts';

/** A worker that answers what it is told to. */
class ToldWorker {
  onmessage: ((event: { data: FromDecoder }) => void) | undefined;
  onerror: ((event: { message: string }) => void) | undefined;
  readonly posted: ToDecoder[] = [];
  ended = false;
  constructor() {
    worker = this;
  }
  postMessage(message: ToDecoder): void {
    this.posted.push(message);
  }
  terminate(): void {
    this.ended = true;
  }
  say(message: FromDecoder): void {
    this.onmessage!({ data: message });
  }
  done(result: unknown, id = this.posted.at(-1)!.id): void {
    this.say({ id, kind: 'done', result: result as PictureFacts });
  }
  failed(
    tag: string | undefined,
    { code, id = this.posted.at(-1)!.id }: { code?: string; id?: number } = {},
  ) {
    this.say({ id, kind: 'failed', message: 'no', tag, code });
  }
}

class FakeBitmap {
  closed = false;
  close(): void {
    this.closed = true;
  }
}

let worker: ToldWorker;
let decoder: LocalDecoder;
const never = new AbortController().signal;

beforeEach(() => {
  vi.stubGlobal('Worker', ToldWorker);
  vi.stubGlobal('ImageBitmap', FakeBitmap);
  decoder = new LocalDecoder('https://host/model.safetensors', 'auto');
});
afterEach(() => vi.unstubAllGlobals());

const factsOf = (picture: number, version?: string) => ({ picture, engine: { threads: 2 }, version });

/** A picture of its own, and what its listener hears. */
async function opened(options: OpenOptions = {}, version?: string) {
  const heard: unknown[] = [];
  const opening = decoder.openPicture('https://host/a.liif', {
    listener: {
      progress: (loaded) => heard.push(loaded),
      warning: (message) => heard.push(message),
      failure: ({ message }) => heard.push(message),
    },
    ...options,
  });
  worker.done(factsOf(worker.posted.at(-1)!.id, version));
  return { picture: await opening, heard };
}

it('opens a picture, asks about it, and closes it', async () => {
  const { picture } = await opened();
  expect(picture.parallel).toBe(3);
  const tile = picture.tile(1, 2n, 3n, 256, never);
  expect(worker.posted).toEqual([
    {
      id: 1,
      kind: 'open',
      file: 'https://host/a.liif',
      model: 'https://host/model.safetensors',
      engine: 'auto',
    },
    { id: 2, kind: 'tile', picture: 1, z: 1, x: 2n, y: 3n, size: 256 },
  ]);
  const bitmap = new FakeBitmap();
  worker.done(bitmap);
  expect(await tile).toBe(bitmap);
  expect(bitmap.closed).toBe(false);
  picture.close();
  expect(worker.posted.at(-1)).toEqual({ id: 3, kind: 'close', picture: 1 });
  expect(worker.ended).toBe(false);
});

it('ends after three failures of its engine in a row, and tells those who have pictures open once', async () => {
  const { picture, heard } = await opened();
  const fails = async (tag: string) => {
    const asked = expect(picture.tile(0, 0n, 0n, 256, never)).rejects.toMatchObject({ tag });
    worker.failed(tag);
    await asked;
  };
  await fails('EngineError');
  await fails('EngineError');
  const tile = picture.tile(0, 0n, 0n, 256, never);
  worker.done(new FakeBitmap());
  await tile;
  for (const tag of ['EngineError', 'FormatError', 'EngineError']) await fails(tag);
  expect([decoder.ended, worker.ended, heard]).toEqual([false, false, []]);
  const waiting = expect(picture.tile(1, 0n, 0n, 256, never)).rejects.toThrow('no');
  await fails('EngineError');
  await waiting;
  expect([decoder.ended, worker.ended, heard]).toEqual([true, true, ['no']]);
  const before = worker.posted.length;
  await expect(picture.tile(0, 0n, 0n, 256, never)).rejects.toThrow('no');
  worker.onerror!({ message: 'late' });
  picture.close();
  decoder.retire();
  await expect(picture.tile(0, 0n, 0n, 256, never)).rejects.toThrow(/^no$/);
  expect([worker.posted.length, heard]).toEqual([before, ['no']]);
});

it('counts no failure that nobody waits for any more', async () => {
  const { picture } = await opened();
  for (let i = 0; i < 4; i++) {
    const gone = new AbortController();
    const asked = expect(picture.tile(0, 0n, 0n, 256, gone.signal)).rejects.toThrow('gone');
    const { id } = worker.posted.at(-1)!;
    gone.abort(new Error('gone'));
    await asked;
    worker.failed('EngineError', { id });
  }
  expect(decoder.ended).toBe(false);
});

it('ends where its script cannot be loaded', async () => {
  const asked = decoder.openPicture('https://host/a.liif');
  worker.onerror!({ message: '' });
  await expect(asked).rejects.toMatchObject({
    message: 'The decoder cannot be loaded.',
    tag: 'EngineError',
  });
  expect(decoder.ended).toBe(true);
});

it('gives up for who leaves, and closes what comes for him all the same', async () => {
  const { picture } = await opened();
  const gone = new AbortController();
  const tile = picture.tile(0, 0n, 0n, 256, gone.signal);
  const opening = decoder.openPicture('https://host/b.liif', { signal: gone.signal });
  const outcomes = Promise.allSettled([tile, opening]);
  gone.abort(new Error('gone'));
  for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: { message: 'gone' } });
  expect(worker.posted.slice(-2)).toEqual([2, 3].map((id) => ({ id, kind: 'abort' })));
  const bitmap = new FakeBitmap();
  worker.done(bitmap, 2);
  expect(bitmap.closed).toBe(true);
  worker.done(factsOf(3), 3);
  expect(worker.posted.at(-1)).toMatchObject({ kind: 'close', picture: 3 });
  const before = worker.posted.length;
  await expect(picture.tile(0, 0n, 0n, 256, gone.signal)).rejects.toThrow('gone');
  expect(worker.posted).toHaveLength(before);
});

it('hears of no abort after the answer', async () => {
  const { picture } = await opened();
  const later = new AbortController();
  for (const answer of [() => worker.done(new FakeBitmap()), () => worker.failed('SourceError')]) {
    const asked = picture.tile(0, 0n, 0n, 256, later.signal).catch(() => {});
    answer();
    await asked;
  }
  const before = worker.posted.length;
  later.abort();
  expect(worker.posted).toHaveLength(before);
});

it('ends, once retired, with the last of its pictures, those that are being opened included', async () => {
  const { picture, heard } = await opened();
  const opening = decoder.openPicture('https://host/b.liif');
  decoder.retire();
  picture.close();
  expect(decoder.ended).toBe(false);
  worker.failed('SourceError', { id: 2 });
  await expect(opening).rejects.toMatchObject({ tag: 'SourceError' });
  expect([decoder.ended, worker.ended, heard]).toEqual([true, true, []]);
  decoder = new LocalDecoder('https://host/model.safetensors', 'auto');
  const other = await opened();
  decoder.retire();
  expect(worker.ended).toBe(false);
  other.picture.close();
  expect(worker.ended).toBe(true);
});

it('closes a picture that is not of the edition, and says so where it changes later', async () => {
  const edition = new Edition('1');
  await expect(opened({ edition }, '2')).rejects.toMatchObject({ name: 'TileError', replaced: true });
  expect(worker.posted.at(-1)).toMatchObject({ kind: 'close', picture: 1 });
  expect(edition.replaced.aborted).toBe(true);
  const { picture } = await opened();
  const other = expect(picture.tile(0, 0n, 0n, 256, never)).rejects.toMatchObject({ name: 'DecodeError' });
  worker.failed('SourceError', { code: 'missing' });
  await other;
  const tile = picture.tile(0, 0n, 0n, 256, never);
  worker.failed('SourceError', { code: 'changed' });
  await expect(tile).rejects.toMatchObject({ name: 'TileError', replaced: true });
  expect(picture.edition.replaced.aborted).toBe(true);
});

it('tells progress and warnings to all whose pictures are open or being opened', async () => {
  const first = await opened();
  const second = await opened();
  first.picture.close();
  const heard: unknown[] = [];
  const opening = decoder.openPicture('https://host/b.liif', {
    listener: { progress: (loaded, total) => heard.push([loaded, total]) },
  });
  worker.say({ kind: 'progress', loaded: 3, total: 4 });
  worker.say({ kind: 'warning', message: 'slow' });
  expect([first.heard, second.heard, heard]).toEqual([[], [3, 'slow'], [[3, 4]]]);
  worker.failed('FormatError');
  await expect(opening).rejects.toThrow('no');
  worker.say({ kind: 'progress', loaded: 4, total: 4 });
  expect(heard).toHaveLength(1);
});

it('knows a host that could not be reached from a file that cannot be read', () => {
  const unreachable = (message: string, tag: string) => new DecodeError(message, tag).unreachable;
  expect(unreachable('https://host/a.liif: Failed to fetch', 'SourceError')).toBe(true);
  expect(unreachable('https://host/a.liif: 404', 'SourceError')).toBe(false);
  expect(unreachable('model: Failed to fetch', 'EngineError')).toBe(false);
});
