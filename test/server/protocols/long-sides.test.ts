import sharp from 'sharp';
import { expect, it } from 'vitest';
import { directoryOf, encoded, picture, startServer } from '../server-fixture.ts';

const server = await startServer({
  roots: [
    await directoryOf({
      'pan.png': await sharp({ create: { width: 20_000, height: 60, channels: 3, background: '#678' } })
        .png()
        .toBuffer(),
    }),
  ],
  maxOutputSide: 20_000,
});

it.each([
  ['full/max/0/default.webp', 16_383, 49],
  ['full/max/90/default.webp', 49, 16_383],
  ['full/!20000,60/0/default.webp', 16_383, 49],
  ['full/max/0/default.avif', 16_384, 49],
  ['full/max/0/default.jpg', 20_000, 60],
])('%s is as large as its format allows', async (path, width, height) => {
  const answer = await server.get(`/iiif/3/pan.png/${path}`);
  expect(answer.status).toBe(200);
  expect(await sharp(answer.body).metadata()).toMatchObject({ width, height });
  expect(answer.headers.link).toContain(`/${path.replace('!20000,60', 'max')}>;rel="canonical"`);
});

it('a picture that is turned by any angle fits into its format', async () => {
  const answer = await server.get('/iiif/3/pan.png/full/max/0.1/default.webp');
  expect(answer.status).toBe(200);
  expect((await sharp(answer.body).metadata()).width).toBeLessThanOrEqual(16_383);
});

it.each(['16384,/0', '16384,/90', '16383,/0.1'])(
  '%s is too large for WebP, and a 413 that says so',
  async (path) => {
    const answer = await server.get(`/iiif/3/pan.png/full/${path}/default.webp`);
    expect([answer.status, answer.json()]).toEqual([
      413,
      expect.objectContaining({ maxWidth: 16_383, maxHeight: 16_383 }),
    ]);
  },
);

it('info.json prefers a format in which all that it offers can be had', async () => {
  const info = (await server.get('/iiif/3/pan.png/info.json')).json();
  expect([info.maxWidth, info.preferredFormats]).toEqual([20_000, ['jpg', 'webp']]);
});

it('info.json offers no size that takes more work than the server does at once', async () => {
  const large = await startServer({
    roots: [await directoryOf({ 'large.liif': await encoded(picture(1200, 600)) })],
    maxWork: 1000,
  });
  const { sizes } = (await large.get('/iiif/3/large/info.json')).json();
  const statusOf = async (width: number, height: number) =>
    (await large.get(`/iiif/3/large/full/${width},${height}/0/default.jpg`)).status;
  expect(sizes.length).toBeGreaterThan(0);
  for (const { width, height } of sizes) expect([width, await statusOf(width, height)]).toEqual([width, 200]);
  expect(sizes).not.toContainEqual({ width: 1200, height: 600 });
  expect(await statusOf(1200, 600)).toBe(413);
});
