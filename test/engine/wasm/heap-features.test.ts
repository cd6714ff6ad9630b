import { expect, it } from 'vitest';
import { WasmHeap } from '../../../src/engine/wasm/heap.ts';
import { HeapFeatures } from '../../../src/engine/wasm/heap-features.ts';

it('memory of features is free once they are closed and nothing uses them, and closed they are not read', async () => {
  const heap = new WasmHeap(false, 2 ** 20);
  const rect = { top: 0, left: 0, height: 2, width: 3 };
  const address = heap.allocate(2 * 2 * 3 * 4);
  const features = new HeapFeatures(heap, { address, rect, channels: 4 }, rect, rect);
  expect(features.byteLength).toBe(2 * 2 * 3 * 4);
  const letGo = features.use();
  features.close();
  await expect(features.read()).rejects.toMatchObject({ _tag: 'EngineError' });
  expect(heap.allocate(1), 'used').not.toBe(address);
  letGo();
  expect(heap.allocate(1), 'free').toBe(address);
});
