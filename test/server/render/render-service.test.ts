import { getEventListeners } from 'node:events';
import { afterEach, expect, it, vi } from 'vitest';
import type { ServedPicture } from '../../../src/server/pictures/picture.ts';
import { tileRendering } from '../../../src/server/protocols/xyz.ts';
import { Encoding } from '../../../src/server/render/encoding.ts';
import { RenderService } from '../../../src/server/render/render-service.ts';
import type { TileStore } from '../../../src/server/stores/tile-store.ts';
import { quality, renderService, servedPicture } from './service-fixture.ts';

/** Milliseconds for a tile as AVIF. */
const ENCODING = (256 * 256 * 150) / 1e6;
const never = new AbortController().signal;
const raster = { width: 64, height: 64, channels: 3, data: new Uint8Array(64 * 64 * 3) } as const;

afterEach(() => vi.useRealTimers());

/** Makes images of one byte; fails where it is told to. */
class FakeEncoding extends Encoding {
  images = 0;
  failure: Error | undefined;

  override async encode(): Promise<Buffer> {
    if (this.failure) throw this.failure;
    return Buffer.from([++this.images]);
  }
}

function serviceOf(
  change: Partial<ServedPicture> = {},
  { stores = [], cacheBytes = 0 }: { stores?: readonly TileStore[]; cacheBytes?: number } = {},
) {
  const encoding = new FakeEncoding({ threads: 0, quality });
  const { admission, options, service } = renderService(encoding, {
    regionBytes: 2 ** 16,
    cacheBytes,
    stores,
    maxWork: 20_000,
  });
  const served = servedPicture(raster, change);
  let open = 0;
  const lease = (value = served) => {
    open++;
    return { value, release: () => void open-- };
  };
  const rendering = tileRendering(served, {
    z: 0,
    x: 0n,
    y: 0n,
    pixelRatio: 1,
    format: 'avif',
    method: 'decode',
  });
  const image = async (key = 'key', value = served) =>
    (await service.image(lease(value), rendering, key, never)).bytes[0];
  return { admission, encoding, options, service, served, rendering, lease, image, open: () => open };
}

it('gives a picture back for each that asks: who has it made, who waits for that, and who finds it in memory', async () => {
  const { image, open, encoding, service } = serviceOf({}, { cacheBytes: 10_000 });
  expect(await Promise.all([image(), image()])).toEqual([1, 1]);
  expect(service.counts.bytes).toBe(1 + 512);
  expect(open()).toBe(0);
  expect(await image()).toBe(1);
  expect(open()).toBe(0);
  encoding.failure = new Error('no encoder');
  await expect(image('other')).rejects.toThrow('no encoder');
  expect(open()).toBe(0);
});

it('keeps images of each picture, and of each rendering and quality, apart', async () => {
  const { image, served, rendering, service, options } = serviceOf({}, { cacheBytes: 10_000 });
  const other = { ...served, cacheName: 'b'.repeat(64) };
  expect([await image(), await image('key', other), await image()]).toEqual([1, 2, 1]);
  const finer = new RenderService({ ...options, quality: { ...quality, avifQuality: 61 } });
  const keys = [
    service.keyOf(served, rendering),
    service.keyOf(served, { ...rendering, key: 'another' }),
    service.keyOf({ ...served, identity: 'b'.repeat(64) }, rendering),
    finer.keyOf(served, rendering),
    service.keyOf(served, rendering),
  ];
  expect(new Set(keys).size).toBe(4);
  expect(keys[4]).toBe(keys[0]);
});

it('gives what it makes, and what it finds in a slow store, to the stores that lack it', async () => {
  const storeOf = (name: string) => {
    const kept = new Map<string, Buffer>();
    const store = {
      name,
      get: async (key: string) => kept.get(key),
      put: async (key: string, bytes: Buffer) => void kept.set(key, bytes),
    } as unknown as TileStore;
    return { kept, store };
  };
  const [fast, slow] = [storeOf('memory'), storeOf('disk')];
  const { image, open } = serviceOf({}, { stores: [fast.store, slow.store] });
  expect(await image()).toBe(1);
  expect([fast.kept.size, slow.kept.size]).toEqual([1, 1]);
  fast.kept.clear();
  expect(await image()).toBe(1);
  expect([fast.kept.size, open()]).toEqual([1, 0]);
});

it('gives picture and place back where pixels cannot be had', async () => {
  const { service, served, rendering, lease, admission, open } = serviceOf();
  expect(await service.pixels(lease(), rendering.query, never)).toBe(raster);
  const broken = { ...served, render: () => Promise.reject(new Error('no pixels')) };
  await expect(service.pixels(lease(broken), rendering.query, never)).rejects.toThrow('no pixels');
  const unready = { ...served, prepare: () => Promise.reject(new Error('no chunks')) };
  await expect(service.pixels(lease(unready), rendering.query, never)).rejects.toThrow('no chunks');
  expect([open(), admission.counts('tile').running]).toEqual([0, 0]);
});

it('refuses what is too much work, and has large work wait with regions, which prepare while they run', async () => {
  const prepare = vi.fn(async () => {});
  for (const [work, lane, prepared] of [
    [9_000, 'tile', 1],
    [11_000, 'region', 0],
  ] as const) {
    prepare.mockClear();
    let running: unknown;
    const { image, admission } = serviceOf({
      prepare,
      estimate: () => ({ bytes: 0, work }),
      render: async () => {
        running = admission.counts(lane).running;
        return raster;
      },
    });
    await image();
    expect([running, prepare.mock.calls.length]).toEqual([1, prepared]);
  }
  const { image, open } = serviceOf({ estimate: () => ({ bytes: 0, work: 20_000 }) });
  await expect(image()).rejects.toMatchObject({
    status: 413,
    members: { limit: 20_000, requested: 20_010 },
  });
  expect(open()).toBe(0);
});

it('lets an image whose encoder needs more memory than regions have run alone, and none whose samples do', async () => {
  const estimate = { work: 11_000, bytes: 2 ** 16 };
  expect(await serviceOf({ estimate: () => estimate }).image()).toBe(1);
  const larger = serviceOf({ estimate: () => ({ ...estimate, bytes: 2 ** 16 + 1 }) });
  await expect(larger.image()).rejects.toMatchObject({ status: 413 });
});

it('uses the memory of samples again that an encoder has done with, but not that of one that has failed', async () => {
  const { image, encoding, admission } = serviceOf();
  const [take, give] = [vi.spyOn(encoding.memory, 'take'), vi.spyOn(encoding.memory, 'give')];
  await image();
  expect(take).toHaveBeenCalledWith(3 * 64 * 64);
  expect(give).toHaveBeenCalledTimes(1);
  encoding.failure = new Error('no encoder');
  await expect(image('other')).rejects.toThrow('no encoder');
  await vi.waitFor(() => expect(admission.counts('tile').running).toBe(0));
  expect(give).toHaveBeenCalledTimes(1);
});

it('counts half of the work as done whose client has gone, and goes no further with it', async () => {
  for (const asks of ['pixels', 'image'] as const) {
    vi.useFakeTimers({ toFake: ['performance'] });
    const gone = new AbortController();
    const { admission, encoding, service, lease, rendering, open } = serviceOf({
      estimate: () => ({ bytes: 0, work: 100 }),
      render: async (_query, signal) => {
        vi.advanceTimersByTime(1000);
        gone.abort(new Error('gone'));
        if (asks === 'pixels') signal!.throwIfAborted();
        return raster;
      },
    });
    const asking =
      asks === 'pixels'
        ? service.pixels(lease(), rendering.query, gone.signal)
        : service.image(lease(), rendering, 'key', gone.signal);
    await expect(asking).rejects.toThrow('gone');
    await vi.waitFor(() => expect(open()).toBe(0));
    const kept = 20 * Math.SQRT1_2;
    const done = (100 + (asks === 'image' ? ENCODING : 0)) / 2;
    expect(admission.counts('tile').pace).toBeCloseTo((kept + 1000) / (kept + done), 6);
    expect(encoding.images).toBe(0);
    vi.useRealTimers();
  }
});

it('prepares nothing for a client who goes while stores are asked, nor lets that go on for one who has gone', async () => {
  const gone = new AbortController();
  const store = {
    name: 'disk',
    get: async () => gone.abort(new Error('gone')),
  } as unknown as TileStore;
  const prepare = vi.fn(async (_query: unknown, signal?: AbortSignal) => signal!.throwIfAborted());
  const { service, lease, rendering, open } = serviceOf({ prepare }, { stores: [store] });
  await expect(service.image(lease(), rendering, 'key', gone.signal)).rejects.toThrow('gone');
  await vi.waitFor(() => expect(open()).toBe(0));
  expect(prepare).not.toHaveBeenCalled();
  await expect(service.pixels(lease(), rendering.query, gone.signal)).rejects.toThrow('gone');
  expect(prepare.mock.calls[0]![1]!.aborted).toBe(true);
});

it('counts what a region prepares while it runs as its work and memory', async () => {
  const { image, admission } = serviceOf({
    estimate: () => ({ bytes: 10, work: 11_000 }),
    preparing: () => ({ bytes: 5000, work: 70 }),
  });
  const enter = vi.spyOn(admission, 'enter');
  await image();
  const [lane, work, bytes] = enter.mock.calls[0]!;
  expect([lane, work, bytes]).toEqual(['region', 11_070 + ENCODING, 65_536]);
});

it('leaves no clock running, and no listener behind', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { image, service, lease, rendering } = serviceOf({ prepare: async () => {} });
  await image();
  const { signal } = new AbortController();
  await service.pixels(lease(), rendering.query, signal);
  expect([vi.getTimerCount(), getEventListeners(signal, 'abort').length]).toEqual([0, 0]);
});
