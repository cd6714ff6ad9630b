import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { iiifImage } from '../../../src/server/protocols/iiif.ts';
import { parseIiifParameters } from '../../../src/server/protocols/iiif-parameters.ts';
import { turnedSize } from '../../../src/server/protocols/rendering.ts';
import { directoryOf, imageOf, picture, startServer } from '../server-fixture.ts';

const limits = { maxOutputSide: 600, maxOutputArea: 160_000 };
const server = await startServer({
  roots: [await directoryOf({ 'small.png': await imageOf(picture(64, 48)).png().toBuffer() })],
  ...limits,
});

async function sizeOf(path: string) {
  const answer = await server.get(`/iiif/3/small.png/${path}`);
  expect(answer.status, path).toBe(200);
  const { width, height } = await sharp(answer.body).metadata();
  return { width, height };
}

describe('an image that is turned by any angle', () => {
  it.each([
    ['full/^600,50/45/default.png', 460, 460],
    ['full/^600,200/10/default.png', 626, 302],
    ['full/^599,100/!1/default.webp', 601, 111],
  ])('%s is beyond the limits, and a 413 that says how large it would be', async (path, width, height) => {
    const answer = await server.get(`/iiif/3/small.png/${path}`);
    expect([answer.status, answer.json()]).toEqual([
      413,
      expect.objectContaining({ maxWidth: 600, maxHeight: 600, maxArea: 160_000 }),
    ]);
    expect(answer.json().detail).toContain(`${width} x ${height} when it is turned`);
  });

  it('is as large as it can be where no size is named, and its canonical address gives it again', async () => {
    for (const angle of ['0.1', '45', '89.9999', '!200.5'])
      for (const size of ['^max', '^!5000,5000']) {
        const { width, height } = await sizeOf(`full/${size}/${angle}/default.png`);
        expect(width * height, angle).toBeLessThanOrEqual(limits.maxOutputArea);
        expect(width * height, angle).toBeGreaterThan(0.98 * limits.maxOutputArea);
        expect(Math.max(width, height), angle).toBeLessThanOrEqual(limits.maxOutputSide);
      }
  });

  it('is served at sizes that fit', async () => {
    expect(await sizeOf('full/^500,20/45/default.png')).toEqual({ width: 368, height: 368 });
    expect(await sizeOf('full/max/45/default.png')).toEqual({ width: 79, height: 79 });
  });
});

it('sizes for `max` fit into all limits at any angle, and none of its shape that is a twentieth larger does', () => {
  const bounds = { maxWidth: 3000, maxHeight: 2000, maxArea: 4_000_000 };
  const within = ({ width, height }: { width: number; height: number }) =>
    width <= bounds.maxWidth && height <= bounds.maxHeight && width * height <= bounds.maxArea;
  for (const [width, height] of [
    [4000, 3000],
    [1, 100_000],
    [50_000, 7],
    [3000, 2000],
  ] as const)
    for (const angle of ['0.0000000001', '0.5', '30', '45', '60.25', '90.001', '271']) {
      const canvas = { picture: { width, height }, factor: 1 };
      const whole = { region: 'full', size: 'max', quality: 'default', format: 'png' };
      const parameters = parseIiifParameters(3, { ...whole, rotation: angle });
      const { rendering, canonical } = iiifImage(3, canvas, parameters, bounds);
      const { query } = rendering;
      expect(within(query) && within(turnedSize(query, Number(angle))), `${width} ${angle}`).toBe(true);
      const larger = { width: Math.ceil(query.width * 1.05), height: Math.ceil(query.height * 1.05) };
      // Those that are a pixel wide cannot be narrower, so their shape is not the picture's.
      if (Math.min(width, height) > 10)
        expect(within(larger) && within(turnedSize(larger, Number(angle))), `${width} ${angle}`).toBe(false);
      expect(canonical).toContain('full/max/');
    }
});

it('the size of what is turned is never less than libvips makes it, and at most a pixel more', async () => {
  for (const [width, height, angle] of [
    [64, 48, 45],
    [1, 200, 0.1],
    [333, 7, 289.37],
    [90, 91, 179.99],
    [64, 48, 90],
    [64, 48, 180],
  ] as const) {
    const { info } = await sharp({ create: { width, height, channels: 3, background: '#678' } })
      .rotate(angle, { background: '#fff' })
      .raw()
      .toBuffer({ resolveWithObject: true });
    const turned = turnedSize({ width, height }, angle);
    for (const less of [turned.width - info.width, turned.height - info.height]) {
      expect(less).toBeGreaterThanOrEqual(0);
      expect(less).toBeLessThanOrEqual(1);
    }
  }
});
