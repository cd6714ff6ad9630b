import { expect, it } from 'vitest';
import { CoalescedReads } from '../../src/reader/coalesce.ts';
import { noise } from '../container/sample-file.ts';
import { CountingSource } from './counting-source.ts';

const bytes = noise(16 * 2 ** 20, 8);

function reads() {
  const source = new CountingSource(bytes);
  return { source, coalesced: new CoalescedReads(source) };
}

it('joins ranges across small gaps', async () => {
  const { source, coalesced } = reads();
  const found = await Promise.all([
    coalesced.read(5000, 100),
    coalesced.read(0, 1000),
    coalesced.read(9197, 3), // 4097 after the one before
  ]);
  expect(found).toEqual([bytes.slice(5000, 5100), bytes.slice(0, 1000), bytes.slice(9197, 9200)]);
  expect(source.asked).toEqual([
    [0, 5100],
    [9197, 3],
  ]);
});

it('joins ranges that overlap, repeat or contain each other', async () => {
  const { source, coalesced } = reads();
  const ranges = [
    [100, 50],
    [100, 50],
    [90, 500],
    [120, 10],
    [580, 30],
  ] as const;
  const found = await Promise.all(ranges.map(([offset, length]) => coalesced.read(offset, length)));
  expect(found).toEqual(ranges.map(([offset, length]) => bytes.slice(offset, offset + length)));
  expect(source.asked).toEqual([[90, 520]]);
});

it('reads to the end of the longest of the ranges it joins', async () => {
  const { coalesced } = reads();
  const found = await Promise.all([coalesced.read(0, 100), coalesced.read(10, 10)]);
  expect(found).toEqual([bytes.slice(0, 100), bytes.slice(10, 20)]);
});

it('does not join to more than 4 MiB, but reads a longer range whole', async () => {
  const { source, coalesced } = reads();
  const mega = 2 ** 20;
  await Promise.all([0, 1, 2, 3, 4].map((i) => coalesced.read(i * mega, mega)));
  await coalesced.read(0, 6 * mega);
  expect(source.asked).toEqual([
    [0, 4 * mega],
    [4 * mega, mega],
    [0, 6 * mega],
  ]);
});

it('keeps at most six requests under way, and comes to all', async () => {
  let under = 0;
  let most = 0;
  const coalesced = new CoalescedReads({
    name: 'slow',
    size: undefined,
    async getBytes(offset, length) {
      most = Math.max(most, ++under);
      await new Promise((resolve) => setTimeout(resolve, 1));
      under--;
      return bytes.slice(offset, offset + length);
    },
    async close() {},
  });
  const offsets = Array.from({ length: 40 }, (_, i) => i * 10_000);
  const found = await Promise.all(offsets.map((offset) => coalesced.read(offset, 10)));
  expect(found).toEqual(offsets.map((offset) => bytes.slice(offset, offset + 10)));
  expect(most).toBe(6);
});

it('gives every caller fewer bytes where the source ends', async () => {
  const { coalesced } = reads();
  const end = bytes.length;
  const found = await Promise.all([
    coalesced.read(end - 10, 20),
    coalesced.read(end - 30, 10),
    coalesced.read(end + 5, 5),
  ]);
  expect(found.map(({ length }) => length)).toEqual([10, 10, 0]);
});

it('goes on for the others when one caller gives up, and stops when the last does', async () => {
  const aborted: boolean[] = [];
  const coalesced = new CoalescedReads({
    name: 'slow',
    size: undefined,
    getBytes: (offset, length, signal) =>
      new Promise((resolve, reject) => {
        signal?.addEventListener('abort', () => {
          aborted.push(true);
          reject(signal.reason);
        });
        setTimeout(() => resolve(bytes.slice(offset, offset + length)), 30);
      }),
    async close() {},
  });
  const one = new AbortController();
  const two = new AbortController();
  const first = coalesced.read(0, 10, one.signal);
  const second = coalesced.read(10, 10, two.signal);
  setTimeout(() => one.abort(new Error('one')), 5);
  await expect(first).rejects.toThrow('one');
  expect(await second).toEqual(bytes.slice(10, 20));
  expect(aborted).toEqual([]);

  const three = new AbortController();
  const four = new AbortController();
  const both = Promise.allSettled([coalesced.read(0, 10, three.signal), coalesced.read(10, 10, four.signal)]);
  setTimeout(() => three.abort(new Error('three')), 5);
  setTimeout(() => four.abort(new Error('four')), 8);
  const results = await both;
  expect(results.map((result) => result.status === 'rejected' && String(result.reason))).toEqual([
    'Error: three',
    'Error: four',
  ]);
  expect(aborted).toEqual([true]);
});

it('has let go of a signal when the bytes are there', async () => {
  const signals: (AbortSignal | undefined)[] = [];
  const coalesced = new CoalescedReads({
    name: 'noting',
    size: undefined,
    async getBytes(offset, length, signal) {
      signals.push(signal);
      return bytes.slice(offset, offset + length);
    },
    async close() {},
  });
  const controller = new AbortController();
  await coalesced.read(0, 10, controller.signal);
  controller.abort();
  expect(signals.map((signal) => signal?.aborted)).toEqual([false]);
});

it('rejects at once for a signal that is aborted already, or in the same turn', async () => {
  const { source, coalesced } = reads();
  await expect(coalesced.read(0, 10, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
  const controller = new AbortController();
  const read = coalesced.read(0, 10, controller.signal);
  controller.abort(new Error('now'));
  await expect(read).rejects.toThrow('now');
  expect(source.asked).toEqual([]);
});

it('tells all who wait for a request that it has failed, and goes on with the others', async () => {
  const asked: AbortSignal[] = [];
  const coalesced = new CoalescedReads({
    name: 'failing',
    size: undefined,
    async getBytes(offset, length, signal) {
      asked.push(signal!);
      if (offset === 0) throw new Error('gone');
      return bytes.slice(offset, offset + length);
    },
    async close() {},
  });
  const ranges = [0, 100, ...Array.from({ length: 8 }, (_, i) => (i + 1) * 10_000)];
  const found = await Promise.allSettled(ranges.map((offset) => coalesced.read(offset, 10)));
  expect(found.map((read) => (read.status === 'rejected' ? read.reason.message : read.value[0]))).toEqual([
    'gone',
    'gone',
    ...ranges.slice(2).map((offset) => bytes[offset]),
  ]);
  const controller = new AbortController();
  const read = coalesced.read(20, 10, controller.signal);
  await null;
  controller.abort('enough');
  await expect(read).rejects.toBe('enough');
  expect(asked.at(-1)!.reason).toBe('enough');
});
