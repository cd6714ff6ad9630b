import { expect, it } from 'vitest';
import type { Rect } from '../../../src/engine/engine.ts';
import { FreeList, WasmHeap } from '../../../src/engine/wasm/heap.ts';

const PAGE = 65_536;

it('what comes back is handed out where it just fits, and grows where it lies at the end', () => {
  const list = new FreeList(64);
  const [first, second, last] = [list.allocate(64), list.allocate(64), list.allocate(64)];
  list.free(first);
  expect(list.allocate(64)).toBe(first);
  list.free(last);
  expect(list.allocate(640)).toBe(last);
  expect(list.end).toBe(last + 640);
  list.free(second);
  expect(() => list.free(second)).toThrow(`nothing is allocated at ${second}`);
});

it('nothing has an address of its own, too', () => {
  const list = new FreeList(64);
  expect(list.allocate(0)).not.toBe(list.allocate(0));
});

it('a heap leaves the first page to the kernels, and fills the last that it may have', () => {
  const heap = new WasmHeap(false, 2 * PAGE);
  expect(heap.allocate(PAGE)).toBe(PAGE);
  expect(heap.memory.buffer.byteLength).toBe(2 * PAGE);
  expect(() => heap.allocate(1)).toThrow('no memory for 1 more bytes');
});

it('a region holds the sites of the picture, and zeros around them whatever was there', () => {
  const heap = new WasmHeap(false, 2 * PAGE);
  const extent = { height: 2, width: 3 };
  const patch = {
    rect: { top: 0, left: 0, ...extent },
    channels: 1,
    data: Int16Array.of(1, 2, 3, 4, 5, 6),
  };
  const region = (rect: Rect) => ({ rect, channels: 1, address: heap.allocate(2 * 5 * 6) });
  const around = region({ top: -1, left: -1, height: 4, width: 5 });
  const inside = region({ top: 1, left: 1, height: 1, width: 2 });
  for (const { address } of [around, inside]) new Int16Array(heap.memory.buffer, address, 30).fill(9);
  heap.write(around, patch, extent);
  heap.write(inside, patch, extent);
  const rows = [
    [0, 0, 0, 0, 0],
    [0, 1, 2, 3, 0],
    [0, 4, 5, 6, 0],
    [0, 0, 0, 0, 0],
  ];
  expect([...heap.read(around, around.rect)]).toEqual(rows.flat());
  expect([...heap.read(inside, inside.rect)]).toEqual([5, 6]);
  // Nor does it touch what lies behind.
  expect(new Int16Array(heap.memory.buffer, around.address, 21)[20]).toBe(9);
});
