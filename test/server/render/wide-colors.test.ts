import sharp from 'sharp';
import { expect, it } from 'vitest';
import { openImage } from '../../../src/decode.ts';
import { profiledColors, shaperOf } from '../../../src/image/color/icc.ts';
import { toSrgb } from '../../../src/image/color/to-srgb.ts';
import type { Raster } from '../../../src/image/raster.ts';
import { readImage } from '../../../src/image/read.ts';
import {
  ADOBE_GAMMA,
  ADOBE_RGB,
  attachProfile,
  builtInProfile,
  grayProfile,
  matrixProfile,
} from '../../image/color/icc-profile.ts';
import { directoryOf, encoded, imageOf, picture, startServer, testEngine } from '../server-fixture.ts';

const SRGB = [
  [0.4361, 0.2225, 0.0139],
  [0.3851, 0.7169, 0.0971],
  [0.1431, 0.0606, 0.7141],
] as const;
const wide: Raster = { ...picture(200, 150), colorSpace: 'display-p3' };
const png = await imageOf(wide).png().toBuffer();
/** 16 bits, primaries of sRGB, another curve. */
const steep = attachProfile(
  await sharp(
    Uint16Array.from(wide.data, (value) => 257 * value),
    { raw: { width: 200, height: 150, channels: 3 } },
  )
    .toColorspace('rgb16')
    .png()
    .toBuffer(),
  matrixProfile(SRGB, 2.6),
);
/** The same of gray. */
const gray = attachProfile(
  await sharp(
    Uint16Array.from({ length: 200 * 150 }, (_, i) => 2 * i),
    { raw: { width: 200, height: 150, channels: 1 } },
  )
    .toColorspace('grey16')
    .png()
    .toBuffer(),
  grayProfile(1),
);
const bytes = await encoded(wide);
const server = await startServer({
  roots: [
    await directoryOf({
      'wide.liif': bytes,
      'clear.liif': await encoded({ ...picture(200, 150, 4), colorSpace: 'display-p3' }),
      'wide.png': attachProfile(png, await builtInProfile('p3')),
      'adobe.png': attachProfile(png, matrixProfile(ADOBE_RGB, ADOBE_GAMMA)),
      'steep.png': steep,
      'gray.png': gray,
    }),
  ],
});
const image = await openImage(bytes, { engine: await testEngine() });
const whole = await image.render();

async function bodyOf(path: string): Promise<Buffer> {
  const answer = await server.get(path);
  expect(answer.status, path).toBe(200);
  return answer.body;
}

async function spaceOf(path: string): Promise<string | undefined> {
  const { icc } = await sharp(await bodyOf(path)).metadata();
  return icc && profiledColors(shaperOf(icc)).colorSpace;
}

it('images of a picture in Display P3 have its very samples and say what they are', async () => {
  const { raster } = await readImage(await bodyOf('/iiif/3/wide/full/max/0/default.png'));
  expect(raster).toEqual(whole);
  expect(whole.colorSpace).toBe('display-p3');
  // Enlarged for comparison, too.
  const bicubic = await readImage(await bodyOf('/wide/2/0/0.png?method=bicubic'));
  expect(bicubic.raster.colorSpace).toBe('display-p3');
});

it.each(['jpg', 'webp', 'avif', 'tif', 'png'])(
  '.%s has the profile, whole, framed and turned',
  async (format) => {
    for (const id of ['wide', 'clear'])
      for (const path of [
        ...(format === 'tif' ? [] : [`/${id}/0/0/0.${format}`]),
        `/iiif/3/${id}/full/max/90/default.${format}`,
        `/iiif/3/${id}/full/max/!33.5/default.${format}`,
      ])
        expect(await spaceOf(path), path).toBe('display-p3');
  },
);

it('what can have no profile, or no color, comes without', async () => {
  const converted = toSrgb(whole).data;
  const gray = await bodyOf('/iiif/3/wide/full/max/0/gray.png');
  expect((await sharp(gray).metadata()).icc).toBeUndefined();
  const plain = await imageOf({ ...whole, data: converted })
    .grayscale()
    .raw()
    .toBuffer();
  const grays = await sharp(gray).toColorspace('b-w').raw().toBuffer();
  expect(grays.length).toBe(plain.length);
  expect(Math.max(...grays.map((value, i) => Math.abs(value - plain[i]!)))).toBeLessThanOrEqual(2);
  const gif = await bodyOf('/iiif/3/wide/full/max/0/default.gif');
  expect((await sharp(gif).metadata()).icc).toBeUndefined();
  const { data } = await sharp(gif).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  let [near, far] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    near += Math.abs(data[i]! - converted[i]!);
    far += Math.abs(data[i]! - whole.data[i]!);
  }
  expect(near).toBeLessThan(far);
});

it('plain images are kept, or converted, as encoding does', async () => {
  const original = await readImage(await bodyOf('/iiif/3/wide.png/full/max/0/default.png'));
  expect(original.raster).toEqual(wide);
  const adobe = await readImage(await bodyOf('/iiif/3/adobe.png/full/max/0/default.png'));
  const source = await readImage(attachProfile(png, matrixProfile(ADOBE_RGB, ADOBE_GAMMA)));
  expect(adobe.raster).toEqual(source.raster);
  expect(source.raster.colorSpace).toBe('display-p3');
  for (const [name, image] of [
    ['steep.png', steep],
    ['gray.png', gray],
  ] as const) {
    const narrow = await readImage(await bodyOf(`/iiif/3/${name}/full/max/0/default.png`));
    const { raster } = await readImage(image);
    expect([narrow.raster.colorSpace, raster.colorSpace]).toEqual([undefined, undefined]);
    // Gray comes as three equal ones.
    const share = raster.channels / narrow.raster.channels;
    const far = Array.from(narrow.raster.data, (value, i) =>
      Math.abs(value - raster.data[Math.floor(i * share)]! / 257),
    );
    expect(Math.max(...far)).toBeLessThanOrEqual(1);
  }
});

it('descriptions say it, and the numbers of a pixel', async () => {
  const { images } = (await server.get('/api/images')).json();
  const spaces = images.map(({ id, colorSpace }: { id: string; colorSpace?: string }) => [id, colorSpace]);
  expect(Object.fromEntries(spaces)).toEqual({
    wide: 'display-p3',
    clear: 'display-p3',
    'wide.png': 'display-p3',
    'adobe.png': 'display-p3',
    'steep.png': undefined,
    'gray.png': undefined,
  });
  const pixel = (await server.get('/wide/pixel?x=7.5&y=3.5')).json();
  expect(pixel).toMatchObject({ colorSpace: 'display-p3' });
});
