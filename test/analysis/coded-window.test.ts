import { expect, it } from 'vitest';
import { codeWindow } from '../../src/analysis/coded-window.ts';
import type { Engine } from '../../src/engine/engine.ts';

it('codes a window by the chunks that it touches, each with the part inside, and puts them together again', async () => {
  const asked: string[] = [];
  const { signal } = new AbortController();
  const encodeChunk: Engine['encodeChunk'] = async (window, { height, width }, quality, given) => {
    expect([quality, given]).toEqual([60, signal]);
    asked.push(`${height} x ${width}`);
    return {
      bytes: new Uint8Array(),
      latents: window.map((value) => value + 1),
      slopes: window.map((value) => -value),
    };
  };
  const rect = { top: 5, left: 0, height: 6, width: 10 };
  const data = Int16Array.from({ length: 6 * 10 * 2 }, (_, i) => i);
  const engine = { threads: 2, encodeChunk } as Engine;
  const { latents, slopes } = await codeWindow(engine, { rect, channels: 2, data }, 8, 60, signal);
  expect(asked).toEqual(['3 x 8', '3 x 2', '3 x 8', '3 x 2']);
  expect(latents).toEqual({ rect, channels: 2, data: data.map((value) => value + 1) });
  expect(slopes).toEqual(data.map((value) => -value));
});
