import { describe, expect, it } from 'vitest';
import { openImage } from '../../../src/decode.ts';
import type { Engine } from '../../../src/engine/engine.ts';
import { directoryOf, encoded, picture, pixelsOf, startServer, testEngine } from '../server-fixture.ts';

const WIDTH = 600;
const HEIGHT = 420;

/** The test engine, and how many pixels its head has computed. */
async function countingEngine(): Promise<Engine & { computed: number }> {
  const engine = await testEngine();
  const counting = {
    ...engine,
    computed: 0,
    async pixels(...[map, queries, signal]: Parameters<Engine['pixels']>) {
      for (const { rows, columns } of queries) counting.computed += rows.index.length * columns.index.length;
      return engine.pixels(map, queries, signal);
    },
    async reduce(...[reduction, signal]: Parameters<NonNullable<Engine['reduce']>>) {
      for (const part of reduction.parts)
        if ('features' in part) counting.computed += part.rect.height * part.rect.width;
      return engine.reduce!(reduction, signal);
    },
  };
  return counting;
}

/** Samples of so many channels: grey ones come back as three that are equal. */
function withoutCopies(
  shown: { readonly data: Uint8Array; readonly channels: number },
  channels: number,
): Uint8Array {
  const wanted = [0, shown.channels - 1].slice(0, channels);
  return channels > 2 ? shown.data : shown.data.filter((_, i) => wanted.includes(i % shown.channels));
}

/**
 * Regions of IIIF: on blocks, across them, at the border, reduced, of few pixels; and at scales whose pixels
 * are not those of sites.
 */
const REGIONS = [
  ['0,0,256,256', [0, 0, 256, 256], 256, 256],
  ['256,256,256,164', [256, 256, 256, 164], 256, 164],
  ['100,50,411,307', [100, 50, 411, 307], 411, 307],
  ['0,0,600,420', [0, 0, 600, 420], 300, 210],
  ['88,44,512,256', [88, 44, 512, 256], 256, 128],
  ['89,45,400,200', [89, 45, 400, 200], 100, 50],
  ['250,250,12,10', [250, 250, 12, 10], 12, 10],
  ['100,50,300,200', [100, 50, 300, 200], 250, 170],
  ['100,50,30,20', [100, 50, 30, 20], 60, 40],
] as const;

describe.each([1, 2, 3, 4] as const)('of a picture of %i channels', (channels) => {
  it('images are the same from kept pixels, from features, and where none are kept', async () => {
    const bytes = await encoded(picture(WIDTH, HEIGHT, channels));
    const image = await openImage(bytes, { engine: await testEngine() });
    const roots = [await directoryOf({ 'noise.liif': bytes })];
    const keeping = await startServer({ roots, tileCacheMb: 0 });
    const forgetting = await startServer({ roots, tileCacheMb: 0, pixelCacheMb: 0 });
    const decoded = new Map<string, Uint8Array>();
    for (const [region, [x, y, width, height], toWidth, toHeight] of REGIONS) {
      const { data } = await image.render({
        region: { x, y, width, height },
        width: toWidth,
        height: toHeight,
      });
      decoded.set(region, data as Uint8Array);
    }
    for (const [server, runs] of [
      // The second time everything is kept, and then all of it comes in another order.
      [keeping, [REGIONS, REGIONS, [...REGIONS].reverse()]],
      [forgetting, [REGIONS]],
    ] as const)
      for (const regions of runs)
        for (const [region, [, , width], toWidth, toHeight] of regions) {
          const size = toWidth > width ? `^${toWidth},${toHeight}` : `${toWidth},${toHeight}`;
          const answer = await server.get(`/iiif/3/noise/${region}/${size}/0/default.png`);
          const shown = await pixelsOf(answer.body);
          expect(Buffer.compare(withoutCopies(shown, channels), decoded.get(region)!), region).toBe(0);
        }
    await image.close();
  });
});

describe('kept pixels', () => {
  it('serve native tiles after a reduction, and a reduction after native tiles, without the head', async () => {
    const roots = [await directoryOf({ 'noise.liif': await encoded(picture(WIDTH, HEIGHT)) })];
    for (const [first, second] of [
      ['1/0/0', '2/1/1'],
      ['2/0/0', '1/0/0'],
    ]) {
      const engine = await countingEngine();
      const server = await startServer({ roots, tileCacheMb: 0, openEngine: async () => engine });
      if (first === '2/0/0')
        for (let y = 0; y < 2; y++) for (let x = 0; x < 3; x++) await server.get(`/noise/2/${x}/${y}.png`);
      else await server.get(`/noise/${first}.png`);
      const before = engine.computed;
      expect(before).toBeGreaterThan(512 * HEIGHT);
      expect((await server.get(`/noise/${second}.png`)).status).toBe(200);
      expect(engine.computed).toBe(before);
    }
  });

  it('are not made for the sake of one of them', async () => {
    const engine = await countingEngine();
    const roots = [await directoryOf({ 'noise.liif': await encoded(picture(WIDTH, HEIGHT)) })];
    const server = await startServer({ roots, openEngine: async () => engine });
    await server.get('/noise/2/0/0.png');
    const before = engine.computed;
    await server.get('/noise/pixel?x=500&y=300');
    expect(engine.computed).toBe(before + 1);
  });

  it('are left alone by comparisons, which give theirs away', async () => {
    // A tile of all of it: its pixels are those that are kept.
    const bytes = await encoded(picture(128, 128));
    const server = await startServer({
      roots: [await directoryOf({ 'small.liif': bytes })],
      tileCacheMb: 0,
    });
    const first = await server.get('/iiif/3/small/full/max/0/default.png');
    expect((await server.get('/small/1/0/0.png?method=bicubic')).status).toBe(200);
    const second = await server.get('/iiif/3/small/full/max/0/default.png');
    expect(second.status).toBe(200);
    expect(second.body.equals(first.body)).toBe(true);
  });
});
