import { expect, it } from 'vitest';
import { OrderedChunks } from '../../src/container/ordered-chunks.ts';
import type { ContainerWriter } from '../../src/container/write.ts';

const order = Array.from({ length: 12 }, (_, i) => ({
  level: 0,
  plane: i & 1,
  row: i >> 2,
  column: (i >> 1) & 1,
}));

/** Takes a while for each chunk, as disks do. */
function slowWriter(failAt = Number.POSITIVE_INFINITY) {
  const written: number[] = [];
  const appendChunk = async ([first]: Uint8Array) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (first === failAt) throw new Error('the disk is full');
    written.push(first!);
  };
  return { written, writer: { appendChunk } as unknown as ContainerWriter };
}

it('chunks that are finished in any order are written in that of the file, each as soon as it can be', async () => {
  const { writer, written } = slowWriter();
  const chunks = new OrderedChunks(writer, order);
  const finish = (i: number) => chunks.finish(order[i]!, Uint8Array.of(i));
  await Promise.all([3, 1, 2].map(finish));
  expect(written).toEqual([]);
  await finish(0);
  expect(written).toEqual([0, 1, 2, 3]);
  await Promise.all([11, 10, 9, 8, 7, 6, 5, 4].map(finish));
  expect(written).toEqual(order.map((_, i) => i));
});

it('a chunk that cannot be written fails all that come after it', async () => {
  const { writer, written } = slowWriter(1);
  const chunks = new OrderedChunks(writer, order);
  const all = await Promise.allSettled([0, 1, 2].map((i) => chunks.finish(order[i]!, Uint8Array.of(i))));
  expect(all.map(({ status }) => status)).toContain('rejected');
  await expect(chunks.finish(order[3]!, Uint8Array.of(3))).rejects.toThrow('the disk is full');
  expect(written).toEqual([0]);
});
