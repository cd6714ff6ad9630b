import { join } from 'node:path';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { Metrics } from '../../../../src/server/metrics.ts';
import { PlainLevels } from '../../../../src/server/pictures/plain/plain-decoder.ts';
import { openPlainPicture } from '../../../../src/server/pictures/plain/plain-picture.ts';
import { ResamplePool } from '../../../../src/server/pictures/plain/resample-pool.ts';
import type { Rendering } from '../../../../src/server/protocols/rendering.ts';
import { Admission } from '../../../../src/server/render/admission.ts';
import { Encoding } from '../../../../src/server/render/encoding.ts';
import { RenderService } from '../../../../src/server/render/render-service.ts';
import { afterThisFile } from '../../../after-file.ts';
import { directoryOf, eventually } from '../../server-fixture.ts';

const SIDE = 1100;
const NAMES = Array.from({ length: 5 }, (_, i) => `${i}.png`);
const files = await Promise.all(
  NAMES.map((_, i) =>
    sharp({ create: { width: SIDE, height: SIDE, channels: 3, background: { r: i, g: 90, b: 200 } } })
      .png()
      .toBuffer(),
  ),
);
const directory = await directoryOf(Object.fromEntries(NAMES.map((name, i) => [name, files[i]!])));
const never = new AbortController().signal;

function parts() {
  const lane = { running: 2, waiting: 20, maxWaitMs: 60_000 };
  const admission = new Admission({
    lanes: { tile: lane, decode: lane, open: lane, region: { ...lane, running: 1 } },
    regionBytes: 2 ** 29,
  });
  const resampling = new ResamplePool(1);
  afterThisFile(() => resampling.close());
  const levels = new PlainLevels(SIDE * SIDE * 3);
  const plain = {
    levels,
    resampling,
    maxPixels: 1e8,
    maxFileBytes: 2 ** 28,
    admit: (which: 'open' | 'decode', work: number, bytes: number, signal: AbortSignal) =>
      admission.enter(which, work, bytes, signal),
  };
  const quality = { jpegQuality: 85, webpQuality: 85, avifQuality: 60 };
  const service = new RenderService({
    admission,
    metrics: new Metrics(),
    quality,
    encoding: new Encoding({ threads: 0, quality }),
    cacheBytes: 0,
    stores: [],
    maxWork: 1e6,
    timeoutMs: 60_000,
    resampling,
  });
  const open = (name: string, signal = never) => openPlainPicture(join(directory, name), plain, signal);
  return { admission, levels, service, open };
}

it('only a few files are read at a time to open their pictures, and who goes away waits no longer', async () => {
  const { admission, open } = parts();
  const places = [await admission.enter('open', 1, 0, never), await admission.enter('open', 1, 0, never)];
  const opened: string[] = [];
  const opening = NAMES.map(async (name) => {
    const picture = await open(name);
    opened.push(name);
    return picture;
  });
  const gone = new AbortController();
  const abandoned = open('0.png', gone.signal);
  await eventually(() => admission.counts('open').waiting === NAMES.length + 1);
  gone.abort(new Error('gone'));
  await expect(abandoned).rejects.toThrow('gone');
  expect(opened).toEqual([]);
  for (const leave of places) leave();
  expect((await Promise.all(opening)).map(({ width }) => width)).toEqual(NAMES.map(() => SIDE));
  expect(admission.counts('open')).toMatchObject({ running: 0, waiting: 0 });
});

it('nothing is decoded for large images that wait for their turn', async () => {
  const { admission, levels, service, open } = parts();
  const leave = await admission.enter('region', 1, 1, never);
  const rendering: Rendering = {
    query: { region: { x: 0, y: 0, width: SIDE, height: SIDE }, width: SIDE, height: SIDE, depth: 8 },
    method: 'decode',
    mirror: false,
    rotation: 0,
    color: 'default',
    format: 'jpg',
    key: 'whole',
  };
  const pictures = await Promise.all(NAMES.map((name) => open(name)));
  const images = pictures.map((picture, i) =>
    service.image({ value: picture, release() {} }, rendering, String(i), never),
  );
  await eventually(() => admission.counts('region').waiting === NAMES.length);
  expect([levels.misses, levels.bytes]).toEqual([0, 0]);
  leave();
  for (const { bytes } of await Promise.all(images))
    expect(await sharp(bytes).metadata()).toMatchObject({ width: SIDE, height: SIDE });
  expect(levels.misses).toBe(NAMES.length);
});
