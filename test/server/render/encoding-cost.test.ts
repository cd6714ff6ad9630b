import { expect, it } from 'vitest';
import { encodingCost, imagePixels } from '../../../src/server/render/encoding-cost.ts';
import { directoryOf, imageOf, picture, startServer } from '../server-fixture.ts';

it('pixels of an image are those of its frame, or of what is turned', () => {
  const size = { width: 100, height: 50 };
  expect(imagePixels(size, { rotation: 0 })).toBe(5000);
  expect(imagePixels(size, { rotation: 90 })).toBe(5000);
  expect(imagePixels(size, { rotation: 45 })).toBe(107 * 107);
  expect(imagePixels(size, { rotation: 0, frame: { width: 256, height: 256 } })).toBe(65_536);
});

it('encoders that need more are taken to need more', () => {
  const [jpg, webp, avif] = (['jpg', 'webp', 'avif'] as const).map((format) => encodingCost(1e6, format));
  expect(webp!.bytes).toBeGreaterThan(jpg!.bytes);
  expect(avif!.bytes).toBeGreaterThan(webp!.bytes);
  expect(avif!.work).toBeGreaterThan(webp!.work);
});

it('an image whose encoding is more work than the server does at once is a 413, and one that needs all of the memory is made', async () => {
  const server = await startServer({
    roots: [await directoryOf({ 'small.png': await imageOf(picture(64, 48)).png().toBuffer() })],
    maxWork: 1000,
    regionMemoryMb: 16,
  });
  const statusOf = async (path: string) => (await server.get(`/iiif/3/small.png/${path}`)).status;
  expect(await statusOf('full/^1300,1300/0/default.gif')).toBe(413);
  expect(await statusOf('full/^1300,1300/0/default.jpg')).toBe(200);
  expect(await statusOf('full/^1300,1300/0/default.avif')).toBe(200);
});
