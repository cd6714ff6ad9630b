import { describe, expect, it } from 'vitest';
import { openImage } from '../../../src/decode.ts';
import { RasterMemory } from '../../../src/server/render/raster-memory.ts';
import { directoryOf, encoded, picture, pixelsOf, startServer, testEngine } from '../server-fixture.ts';

describe('memory of rasters', () => {
  it('is used again for the same length, and for no other', () => {
    const memory = new RasterMemory();
    const first = memory.take(3000)!;
    expect(first.length).toBe(3000);
    expect(memory.take(3000)).not.toBe(first);
    memory.give(first);
    for (const other of [2999, 3001]) expect(memory.take(other)!.length).toBe(other);
    expect(memory.take(3000)).toBe(first);
    expect(memory.take(3000)).not.toBe(first);
  });

  it('is memory that threads share for those who want that', () => {
    expect(new RasterMemory(true).take(3000)!.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(new RasterMemory().take(3000)!.buffer).toBeInstanceOf(ArrayBuffer);
  });

  it('is kept to four megabytes, the latest of it, and is never had for large rasters', () => {
    const memory = new RasterMemory();
    const given = Array.from({ length: 30 }, () => new Uint8Array(200_000));
    for (const one of given) memory.give(one);
    for (let i = 29; i >= 10; i--) expect(memory.take(200_000)).toBe(given[i]);
    expect(given).not.toContain(memory.take(200_000));
    expect(memory.take(2 ** 20 + 1)).toBeUndefined();
  });

  it('is four megabytes to the last byte, however often it is taken and given', () => {
    const memory = new RasterMemory();
    const first = memory.take(2 ** 20)!;
    for (let i = 0; i < 9; i++) {
      memory.give(first);
      expect(memory.take(2 ** 20)).toBe(first);
    }
    const given = [first, ...Array.from({ length: 3 }, () => new Uint8Array(2 ** 20))];
    for (const one of given) memory.give(one);
    for (const one of given.reverse()) expect(memory.take(2 ** 20)).toBe(one);
  });

  it('is never shared by tiles under way, whoever of those that ask goes away', async () => {
    const bytes = await encoded(picture(600, 420));
    const roots = [await directoryOf({ 'noise.liif': bytes })];
    const server = await startServer({ roots, tileCacheMb: 0, pixelCacheMb: 0, maxWaitMs: 60_000 });
    const image = await openImage(bytes, { engine: await testEngine() });
    // Tiles at twice native: more than run at a time, of the same length.
    const tiles = Array.from({ length: 24 }, (_, i) => ({ x: i % 4, y: Math.floor(i / 4) % 3 }));
    for (let round = 0; round < 3; round++)
      await Promise.all(
        tiles.map(async ({ x, y }, i) => {
          const leaving = i % 3 === 1;
          const signal = leaving ? AbortSignal.timeout(1 + 7 * i) : undefined;
          const asked = server.get(`/noise/3/${x}/${y}.png`, signal ? { signal } : {});
          const answer = leaving ? await asked.catch(() => undefined) : await asked;
          if (answer === undefined) return;
          const region = { x: 128 * x, y: 128 * y, width: 128, height: 128 };
          const decoded = await image.render({ region, width: 256, height: 256 });
          expect(answer.status).toBe(200);
          const shown = await pixelsOf(answer.body);
          expect(Buffer.compare(shown.data, decoded.data as Uint8Array), `${x}/${y}`).toBe(0);
        }),
      );
    await image.close();
  });
});
