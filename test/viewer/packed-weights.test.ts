import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { keptOrPacked } from '../../viewer/decoder/packed-weights.ts';

const PART = Uint8Array.from({ length: 5000 }, (_, i) => i * i);
const PACKED = gzipSync(PART);
/** What the browser keeps, by address. */
const kept = new Map<string, Response>();
const asked: string[] = [];
const progress: [number, number][] = [];

beforeEach(() => {
  for (const list of [asked, progress]) list.length = 0;
  kept.clear();
  vi.stubGlobal('location', { origin: 'https://page' });
  vi.stubGlobal('caches', {
    open: async () => ({
      match: async (address: string) => kept.get(address)?.clone(),
      put: async (address: string, response: Response) => void kept.set(address, response),
    }),
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function weights(
  answer: (signal: AbortSignal) => Promise<Response> | Response,
): Promise<Uint8Array | undefined> {
  vi.stubGlobal('fetch', async (address: URL, options: RequestInit) => {
    asked.push(`${address} ${options.cache}`);
    return answer(options.signal!);
  });
  const cache = keptOrPacked('https://host/model/liif-1.safetensors', (...counts) => progress.push(counts));
  return cache.get('abc');
}

it('packed weights beside the model file are unpacked, counted, and kept for the next time', async () => {
  const headers = { 'content-length': `${PACKED.length}` };
  expect(await weights(() => new Response(PACKED, { headers }))).toEqual(PART);
  expect(asked).toEqual(['https://host/model/abc.part no-store']);
  expect(progress.at(-1)).toEqual([PACKED.length, PACKED.length]);
  await expect.poll(() => kept.size).toBe(1);
  expect(await weights(() => new Response('', { status: 500 }))).toEqual(PART);
  expect(asked).toHaveLength(1);
});

it('progress is not told of more bytes than were announced', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  expect(await weights(() => new Response(PACKED))).toEqual(PART);
  expect([progress, vi.getTimerCount()]).toEqual([[], 0]);
});

it('a host that has none, breaks off, or has a page in their place leaves them to the model file', async () => {
  for (const answer of [
    () => new Response(PACKED, { status: 404 }),
    () => new Response(PACKED.subarray(0, PACKED.length / 2)),
    () => new Response('<!doctype html>'),
    () => Promise.reject(new TypeError('Failed to fetch')),
  ])
    expect(await weights(answer)).toBeUndefined();
  expect(kept.size).toBe(0);
});

it('a download is given up that brings no byte for a quarter of a minute, and none that is slow', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  let more: (bytes: Uint8Array) => void = () => {};
  const coming = weights((signal) => {
    const body = new ReadableStream<Uint8Array>({
      start(control) {
        more = (bytes) => control.enqueue(bytes);
        signal.addEventListener('abort', () => control.error(signal.reason));
      },
    });
    return new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>);
  });
  let ended = false;
  void coming.then(() => {
    ended = true;
  });
  const turns = async () => {
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  };
  await turns();
  for (const bytes of [PACKED.subarray(0, 9), PACKED.subarray(9, 20)]) {
    vi.advanceTimersByTime(14_999);
    more(bytes);
    await turns();
  }
  vi.advanceTimersByTime(14_999);
  await turns();
  expect(ended).toBe(false);
  vi.advanceTimersByTime(1);
  expect(await coming).toBeUndefined();
  expect(vi.getTimerCount()).toBe(0);
});
