import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Raster } from '../../../../src/image/raster.ts';
import { directoryOf, pixelsOf, startServer } from '../../server-fixture.ts';

const [width, height] = [701, 601];
const GRAY = 60;
const ALPHA = 90;
/** Gray of one value; its alpha is that, and 255 in the right half. */
const samples = Uint8Array.from({ length: width * height * 2 }, (_, i) =>
  i % 2 === 0 ? GRAY : (i >> 1) % width < width / 2 ? ALPHA : 255,
);
const raw = { width, height, channels: 2 } as const;
const gray8 = () => sharp(samples, { raw }).toColorspace('b-w');
const gray16 = () =>
  sharp(
    Uint16Array.from(samples, (value) => value * 257),
    { raw },
  ).toColorspace('grey16');

/** A TIFF of one strip without compression, as programs of scientists write them. */
function tiff(
  channels: number,
  bits: number,
  format: 1 | 2 | 3,
  data: Uint8Array,
  [w, h]: [number, number],
  photometric = channels < 3 ? 1 : 2,
) {
  const extra = channels < 3 ? channels - 1 : channels - 3;
  const entries: [number, number, number[]][] = [
    [256, 4, [w]],
    [257, 4, [h]],
    [258, 3, Array(channels).fill(bits)],
    [259, 3, [1]],
    [262, 3, [photometric]],
    [273, 4, [0]],
    [277, 3, [channels]],
    [278, 4, [h]],
    [279, 4, [data.length]],
    [284, 3, [1]],
    ...(extra > 0 ? [[338, 3, [2, ...Array(extra - 1).fill(0)]] as [number, number, number[]]] : []),
    [339, 3, Array(channels).fill(format)],
  ];
  const directory = 2 + entries.length * 12 + 4;
  const file = Buffer.alloc(8 + directory + entries.length * 32);
  file.write('II');
  file.writeUInt16LE(42, 2);
  file.writeUInt32LE(8, 4);
  file.writeUInt16LE(entries.length, 8);
  let beyond = 8 + directory;
  entries.forEach(([tag, type, values], i) => {
    const at = 10 + i * 12;
    file.writeUInt16LE(tag, at);
    file.writeUInt16LE(type, at + 2);
    file.writeUInt32LE(values.length, at + 4);
    const size = type === 3 ? 2 : 4;
    let to = at + 8;
    if (values.length * size > 4) {
      file.writeUInt32LE(beyond, to);
      to = beyond;
      beyond += values.length * size;
    }
    for (const [n, value] of values.entries())
      file.writeUIntLE(tag === 273 ? file.length : value, to + n * size, size);
  });
  return Buffer.concat([file, data]);
}

const four = [4, 4] as [number, number];
const server = await startServer({
  roots: [
    await directoryOf({
      'gray8.png': await gray8().png().toBuffer(),
      'gray16.png': await gray16().png().toBuffer(),
      'gray8.tif': tiff(2, 8, 1, samples, [width, height]),
      'extra.tif': tiff(5, 8, 1, new Uint8Array(4 * 4 * 5).fill(9), four),
      'alpha.tif': tiff(4, 8, 1, new Uint8Array(4 * 4 * 4).fill(9), four),
      'lab.tif': tiff(4, 16, 1, new Uint8Array(4 * 4 * 8).fill(9), four, 8),
      'ycc.tif': tiff(3, 8, 1, new Uint8Array(4 * 4 * 3).fill(9), four, 6),
      'float.tif': tiff(1, 32, 3, new Uint8Array(new Float32Array(16).fill(0.5).buffer), four),
      'long.tif': tiff(1, 32, 1, new Uint8Array(new Uint32Array(16).fill(1e9).buffer), four),
      'signed.tif': tiff(1, 16, 2, new Uint8Array(new Int16Array(16).fill(-9).buffer), four),
    }),
  ],
});

describe.each(['gray8.png', 'gray16.png', 'gray8.tif'])('%s, gray with alpha', (id) => {
  const [left, right] = [
    [GRAY, GRAY, GRAY, ALPHA],
    [GRAY, GRAY, GRAY, 255],
  ];
  const corner = ({ data, channels }: Raster) => [...data.subarray(0, channels)];

  it('keeps its alpha: as a pixel, at its own size, reduced, and as a tile', async () => {
    expect((await server.get(`/api/images/${id}`)).json()).toMatchObject({ alpha: true });
    expect((await server.get(`/${id}/pixel?x=3.5&y=3.5`)).json().rgba).toEqual(left);
    expect((await server.get(`/${id}/pixel?x=690.5&y=3.5`)).json().rgba).toEqual(right);
    for (const path of ['full/max', 'full/300,257', 'full/^1402,', '0,0,40,40/max']) {
      const { body } = await server.get(`/iiif/3/${id}/${path}/0/default.png`);
      const found = corner(await pixelsOf(body));
      expect(found[3], path).toBe(ALPHA);
      // Colors are multiplied by it where they are reduced.
      for (const color of found.slice(0, 3)) expect(Math.abs(color - GRAY), path).toBeLessThanOrEqual(1);
    }
    expect(corner(await pixelsOf((await server.get(`/${id}/0/0/0.png`)).body))[3]).toBe(ALPHA);
  });
});

it.each([
  ['extra.tif', 'channels beside its colors'],
  ['lab.tif', 'alpha beside Lab'],
  ['ycc.tif', 'YCbCr that is not compressed by JPEG'],
  ['float.tif', 'type float'],
  ['long.tif', 'type uint'],
  ['signed.tif', 'type short'],
])('%s is refused as a file that is not served', async (id, detail) => {
  for (const path of [`/api/images/${id}`, `/iiif/3/${id}/full/max/0/default.png`, `/${id}/0/0/0.png`]) {
    const answer = await server.get(path);
    expect([answer.status, answer.json()], path).toEqual([
      501,
      expect.objectContaining({
        type: 'urn:liif:problem:unsupported-file',
        detail: expect.stringContaining(detail),
      }),
    ]);
  }
});

it('colors with alpha are served', async () => {
  expect((await server.get('/alpha.tif/pixel?x=0.5&y=0.5')).json().rgba).toEqual([9, 9, 9, 9]);
});
