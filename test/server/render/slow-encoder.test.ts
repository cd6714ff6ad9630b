import { expect, it } from 'vitest';
import type { Raster } from '../../../src/image/raster.ts';
import { tileRendering } from '../../../src/server/protocols/xyz.ts';
import { Encoding } from '../../../src/server/render/encoding.ts';
import { eventually, picture } from '../server-fixture.ts';
import { quality, renderService, servedPicture } from './service-fixture.ts';

/** Encodes when it is told to. */
class SlowEncoding extends Encoding {
  readonly memories: (Uint8Array | undefined)[] = [];
  readonly waiting: (() => void)[] = [];

  override encode(_raster: Raster, _look: unknown, memory: Uint8Array | undefined): Promise<Buffer> {
    this.memories.push(memory);
    return new Promise((resolve) => this.waiting.push(() => resolve(Buffer.from('image'))));
  }
}

function serviceOf(timeoutMs: number) {
  const encoding = new SlowEncoding({ threads: 0, quality });
  const { admission, service } = renderService(encoding, {
    regionBytes: 2 ** 30,
    cacheBytes: 0,
    stores: [],
    maxWork: 1000,
    timeoutMs,
  });
  const served = servedPicture(picture(64, 64));
  const image = (number: number) =>
    service.image(
      { value: served, release() {} },
      tileRendering(served, { z: 0, x: 0n, y: 0n, pixelRatio: 1, format: 'avif', method: 'decode' }),
      `key ${number}`,
      new AbortController().signal,
    );
  return { admission, encoding, service, image };
}

it('an image that is not encoded in time is refused, and its place and its memory are taken until the encoder is done', async () => {
  const { admission, encoding, image } = serviceOf(50);
  await expect(image(0)).rejects.toMatchObject({ status: 503, code: 'timeout' });
  expect(admission.counts('tile').running).toBe(1);
  await expect(image(1)).rejects.toMatchObject({ status: 503, code: 'timeout' });
  expect(encoding.memories[1]).not.toBe(encoding.memories[0]);
  for (const end of encoding.waiting) end();
  await eventually(() => admission.counts('tile').running === 0);
  await expect(image(2)).rejects.toMatchObject({ code: 'timeout' });
  expect(encoding.memories.slice(0, 2)).toContain(encoding.memories[2]);
});

it('whoever waits for an encoder is told that the server is stopping', async () => {
  const { encoding, service, image } = serviceOf(60_000);
  const waiting = image(0);
  await eventually(() => encoding.waiting.length === 1);
  service.close();
  await expect(waiting).rejects.toMatchObject({ status: 503, code: 'stopping' });
});
