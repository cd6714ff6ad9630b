import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Raster } from '../../../src/image/raster.ts';
import type { Look } from '../../../src/server/protocols/rendering.ts';
import { Encoding, type EncodingOptions } from '../../../src/server/render/encoding.ts';
import { imageBytes } from '../../../src/server/render/image-bytes.ts';
import { collectGarbage } from '../../fixtures/collect-garbage.ts';
import { directoryOf, encoded, eventually, picture, startServer } from '../server-fixture.ts';

const quality = { jpegQuality: 85, webpQuality: 80, avifQuality: 50 };
const plainly: Look = { mirror: false, rotation: 0, color: 'default', format: 'jpg' };

/** Threads of this process begun while `use` runs. */
async function seeingThreads(use: (threads: readonly Worker[]) => Promise<void>): Promise<void> {
  const threads: Worker[] = [];
  const seen = (worker: Worker) => threads.push(worker);
  process.on('worker', seen);
  try {
    await use(threads);
  } finally {
    process.off('worker', seen);
  }
}

/** With its threads ready. */
async function started(options: Partial<EncodingOptions> = {}): Promise<Encoding> {
  const encoding = new Encoding({ threads: 1, quality, ...options });
  afterAll(() => encoding.close());
  for (let i = 0; i < (options.threads ?? 1); i++) await encoding.encode(picture(8, 8), plainly, undefined);
  await eventually(() => encoding.ready === (options.threads ?? 1));
  return encoding;
}

/** The same raster in memory that threads share. */
function lent(raster: Raster): Raster & { readonly data: Uint8Array } {
  const data = new Uint8Array(new SharedArrayBuffer(raster.data.length));
  data.set(raster.data);
  return { ...raster, data };
}

/** What is hardest to make smaller. */
function noise(side: number): Raster {
  let state = 1;
  const data = Uint8Array.from({ length: side * side * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
  return { width: side, height: side, channels: 3, data };
}

describe('images from threads', () => {
  const looks: readonly Look[] = [
    plainly,
    { ...plainly, format: 'png' },
    { ...plainly, format: 'webp' },
    { ...plainly, format: 'avif' },
    { ...plainly, format: 'tif' },
    { ...plainly, format: 'gif' },
    { ...plainly, frame: { width: 96, height: 80 } },
    { ...plainly, frame: { width: 96, height: 80 }, format: 'png' },
    { ...plainly, mirror: true, rotation: 90 },
    { ...plainly, mirror: true, rotation: 33.5, format: 'png' },
    { ...plainly, color: 'gray' },
    { ...plainly, color: 'bitonal', rotation: 10, format: 'png' },
  ];

  it('are those of the calling thread in every byte, whatever they look like and wherever their pixels are', async () => {
    const handed = vi.spyOn(Worker.prototype, 'postMessage');
    onTestFinished(() => handed.mockRestore());
    const encoding = await started({ threads: 2 });
    /** Threads that tasks were handed to, one for each task. */
    const takers = () =>
      handed.mock.calls.flatMap(([tasks], i) =>
        Array.isArray(tasks) ? tasks.map(() => handed.mock.contexts[i]) : [],
      );
    expect(takers(), 'threads that are not ready get none').toEqual([]);
    const all = ([1, 2, 3, 4] as const).flatMap((channels) => looks.map((look) => ({ channels, look })));
    await Promise.all(
      all.map(async ({ channels, look }) => {
        const raster = picture(90, 70, channels);
        const before = raster.data.slice();
        const expected = await imageBytes(raster, look, quality);
        const within = lent(raster);
        const what = `${channels} ${JSON.stringify(look)}`;
        expect((await encoding.encode(raster, look, undefined)).equals(expected), what).toBe(true);
        expect((await encoding.encode(within, look, within.data)).equals(expected), what).toBe(true);
        // Pixels that others have too are not touched.
        const other = lent(picture(90, 70, channels, 7)).data;
        expect((await encoding.encode(raster, look, other)).equals(expected), what).toBe(true);
        expect(raster.data).toEqual(before);
      }),
    );
    // The threads share the work.
    const [first] = takers();
    const part = takers().filter((worker) => worker === first).length;
    expect(part).toBeGreaterThan(all.length);
    expect(takers().length - part).toBeGreaterThan(all.length);
  });

  it('may be larger than their pixels', async () => {
    const encoding = await started();
    const raster = noise(64);
    const look: Look = { ...plainly, format: 'png' };
    const expected = await imageBytes(raster, look, quality);
    expect(expected.length).toBeGreaterThan(raster.data.length);
    const within = lent(raster);
    expect((await encoding.encode(within, look, within.data)).equals(expected)).toBe(true);
    const short = lent(picture(8, 8)).data;
    expect((await encoding.encode(raster, look, short)).equals(expected)).toBe(true);
  });

  it('leave the memory that was lent to its owner, use their own again, and hold none after', async () => {
    const encoding = await started();
    const make = async () => {
      const mine = lent(picture(90, 70));
      await encoding.encode(mine, plainly, mine.data);
      // New memory holds zeros.
      expect(encoding.memory.take(mine.data.length)!.every((sample) => sample === 0)).toBe(true);
      await encoding.encode(picture(90, 70), plainly, undefined);
      expect(encoding.memory.take(mine.data.length)!.some((sample) => sample > 0)).toBe(true);
      return new WeakRef(mine.data);
    };
    const kept = await make();
    await eventually(() => {
      collectGarbage();
      return kept.deref() === undefined;
    });
  });

  it('of more than a megabyte of pixels are made by the calling thread', async () => {
    const encoding = await started();
    const raster = picture(640, 600);
    expect(
      (await encoding.encode(raster, plainly, undefined)).equals(await imageBytes(raster, plainly, quality)),
    ).toBe(true);
  });

  it('fail alone', async () => {
    const encoding = await started();
    const raster = picture(32, 32);
    const asked = [raster, { ...raster, width: 33 }, raster].map((one) =>
      encoding.encode(one, plainly, undefined),
    );
    const [first, second, third] = await Promise.allSettled(asked);
    expect(first!.status).toBe('fulfilled');
    // The text is libvips', which keeps one for all its threads: now and then another takes it away.
    expect(second).toMatchObject({ status: 'rejected', reason: expect.any(Error) });
    expect(third!.status).toBe('fulfilled');
    expect(encoding.ready).toBe(1);
  });
});

describe('threads that encode', () => {
  it('are none for those who want none', () =>
    seeingThreads(async (threads) => {
      const encoding = await started({ threads: 0 });
      expect(encoding.memory.take(1)!.buffer).toBeInstanceOf(ArrayBuffer);
      await encoding.encode(picture(32, 32), plainly, undefined);
      expect(threads).toHaveLength(0);
    }));

  it('are replaced after a pause when they die; meanwhile the calling thread goes on', () =>
    seeingThreads(async (threads) => {
      const reasons: unknown[] = [];
      const pauseMs = 3000;
      const encoding = await started({ pauseMs, onDied: (reason) => reasons.push(reason) });
      const raster = picture(256, 256);
      const expected = await imageBytes(raster, plainly, quality);
      const under = Array.from({ length: 8 }, () => encoding.encode(raster, plainly, undefined));
      await threads[0]!.terminate();
      for (const one of await Promise.allSettled(under))
        if (one.status === 'rejected')
          expect(one.reason).toMatchObject({ status: 503, code: 'encoder-failed' });
      expect(reasons).toHaveLength(1);
      expect(encoding.ready).toBe(0);
      for (let i = 0; i < 3; i++)
        expect((await encoding.encode(raster, plainly, undefined)).equals(expected)).toBe(true);
      expect(threads).toHaveLength(1);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      await encoding.encode(raster, plainly, undefined);
      expect(threads).toHaveLength(2);
      await eventually(() => encoding.ready === 1);
      expect((await encoding.encode(raster, plainly, undefined)).equals(expected)).toBe(true);
    }));

  it('end with the server: what they have not made, and what comes later, is told that it stops', async () => {
    const reasons: unknown[] = [];
    const encoding = await started({ onDied: (reason) => reasons.push(reason) });
    const under = Array.from({ length: 20 }, () => encoding.encode(picture(256, 256), plainly, undefined));
    const settled = Promise.allSettled(under);
    await encoding.close();
    for (const one of await settled)
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ status: 503, code: 'stopping' });
    await expect(encoding.encode(picture(8, 8), plainly, undefined)).rejects.toMatchObject({
      code: 'stopping',
    });
    expect(reasons).toEqual([]);
  });

  it('change neither bytes nor ETags of a server', async () => {
    const roots = [await directoryOf({ 'a.liif': await encoded(picture(300, 200)) })];
    const [with0, with2] = await Promise.all(
      [0, 2].map((encodingThreads) => startServer({ roots, encodingThreads, tileCacheMb: 0 })),
    );
    const paths = ['/a/0/0/0.jpg', '/a/1/1/0.png', '/a/3/2/1.webp', '/iiif/3/a/full/max/90/gray.jpg'];
    for (let round = 0; round < 5; round++) {
      for (const path of paths) {
        const [expected, answer] = await Promise.all([with0!.get(path), with2!.get(path)]);
        expect(answer.status).toBe(200);
        expect(answer.body.equals(expected.body), path).toBe(true);
        expect(answer.headers.etag).toBe(expected.headers.etag);
      }
      // From the second round on by threads.
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
});
