import { expect, it } from 'vitest';
import { OpenedSource } from '../../src/reader/opened-source.ts';
import type { Source } from '../../src/reader/source.ts';
import { noise } from '../container/sample-file.ts';

const bytes = noise(20_000, 4);

/** A source that notes what it is asked for, and with which signal; `size`: what it knows of its own. */
function noting({ size }: { readonly size: number | undefined } = { size: bytes.length }) {
  const asked: (readonly [number, number] | 'unchanged')[] = [];
  const signals: (AbortSignal | undefined)[] = [];
  const source: Source = {
    name: 'noting',
    size,
    async getBytes(offset, length, signal) {
      asked.push([offset, length]);
      signals.push(signal);
      return bytes.slice(offset, offset + length);
    },
    async expectUnchanged(signal) {
      asked.push('unchanged');
      signals.push(signal);
    },
    async close() {},
  };
  return { source, asked, signals };
}

it('passes the signal on, whether it asks for bytes, the rest of them, or whether the source has changed', async () => {
  const { source, asked, signals } = noting();
  const { signal } = new AbortController();
  const opened = await OpenedSource.open(source, signal);
  await opened.getBytes(0, 10, signal);
  await opened.getBytes(16_000, 1000, signal);
  await opened.getBytes(17_000, 1000, signal);
  expect(asked).toEqual([[0, 16_384], 'unchanged', [16_384, 616], [17_000, 1000]]);
  expect(new Set(signals)).toEqual(new Set([signal]));
});

it('begins with as much as the source says', async () => {
  const { source, asked } = noting();
  await OpenedSource.open({ ...source, firstRead: 64 });
  expect(asked).toEqual([[0, 64]]);
});

it('gives nothing to a caller who has given up, not even bytes that it knows', async () => {
  const opened = await OpenedSource.open(noting().source);
  await expect(opened.getBytes(0, 10, AbortSignal.abort('enough'))).rejects.toBe('enough');
});

it('asks for no more than the source has, and for that where its end is not known', async () => {
  const whole = noting();
  const opened = await OpenedSource.open(whole.source);
  expect(await opened.getBytes(16_000, 9000)).toEqual(bytes.slice(16_000));
  expect(whole.asked.at(-1)).toEqual([16_384, 3616]);
  const endless = noting({ size: undefined });
  expect(await (await OpenedSource.open(endless.source)).getBytes(16_000, 9000)).toEqual(bytes.slice(16_000));
  expect(endless.asked.at(-1)).toEqual([16_384, 8616]);
});

it('keeps no bytes once it is closed', async () => {
  const { source } = noting();
  const opened = await OpenedSource.open(source);
  expect(opened.first).toHaveLength(16_384);
  await opened.close();
  expect(opened.first).toHaveLength(0);
});
