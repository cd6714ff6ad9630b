import sharp from 'sharp';
import { expect, it } from 'vitest';
import { directoryOf, startServer } from '../../server-fixture.ts';

const large = await sharp({ create: { width: 4000, height: 3000, channels: 3, background: '#678' } })
  .jpeg()
  .toBuffer();

it('many parts of a plain image are answered from one decoding, which is kept even where it is larger than the cache', async () => {
  const server = await startServer({
    roots: [await directoryOf({ 'large.jpg': large })],
    plainCacheMb: 1,
    maxWaitMs: 300,
    threads: 1,
  });
  const parts = (top: number) =>
    Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        server.get(`/iiif/3/large.jpg/${i * 64},${top},64,64/max/0/default.jpg`),
      ),
    );
  const misses = async () =>
    /liif_cache_misses_total\{cache="plain"\} (\d+)/.exec((await server.get('/metrics')).body.toString())![1];
  expect((await parts(0)).map(({ status }) => status)).toEqual(Array(12).fill(200));
  const before = await misses();
  const [again] = await parts(64);
  expect([again!.status, again!.headers['server-timing']]).toEqual([200, expect.stringContaining('decode')]);
  expect(await misses()).toBe(before);
  // A reduction does not push out what it is made of.
  expect((await server.get('/large.jpg/0/0/0.jpg')).status).toBe(200);
  const reduced = await misses();
  await parts(128);
  expect(await misses()).toBe(reduced);
});
