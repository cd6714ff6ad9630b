import { describe, expect, it } from 'vitest';
import { openImage } from '../../../src/decode.ts';
import { crop, directoryOf, encoded, picture, pixelsOf, startServer, testEngine } from '../server-fixture.ts';

const bytes = await encoded(picture(600, 420));
const server = await startServer({ roots: [await directoryOf({ 'noise.liif': bytes })] });
const image = await openImage(bytes, { engine: await testEngine() });

/** RGB of a tile inside the picture. */
async function tile(path: string) {
  const answer = await server.get(`/noise/${path}.png`);
  expect(answer.status).toBe(200);
  return pixelsOf(answer.body);
}

describe('a tile equals the same pixels of decoding', () => {
  it('at native scale', async () => {
    const whole = await image.render();
    expect(Buffer.compare((await tile('2/1/0')).data, crop(whole, 256, 0, 256, 256))).toBe(0);
  });

  it('at a quarter of native', async () => {
    // 420 is no multiple of 4: the last row of pixels reaches beyond the border, and tiles are cut there.
    const whole = await image.render({
      region: { x: 0, y: 0, width: 600, height: 420 },
      width: 150,
      height: 105,
    });
    const shown = await tile('0/0/0');
    expect(shown.channels).toBe(4);
    for (let row = 0; row < 105; row++)
      for (let x = 0; x < 150; x++)
        for (let c = 0; c < 3; c++)
          if (shown.data[(row * 256 + x) * 4 + c] !== whole.data[(row * 150 + x) * 3 + c])
            throw new Error(`differs at ${x}, ${row}`);
  });

  it('at 0.3, 0.92 and 7.7 times native, on regions of IIIF', async () => {
    for (const [region, size, request] of [
      [
        '100,50,400,300',
        '120,90',
        { region: { x: 100, y: 50, width: 400, height: 300 }, width: 120, height: 90 },
      ],
      // Larger than the squares that a server reduces at a time.
      [
        '0,0,600,420',
        '550,385',
        { region: { x: 0, y: 0, width: 600, height: 420 }, width: 550, height: 385 },
      ],
      [
        '100,50,30,20',
        '^231,154',
        { region: { x: 100, y: 50, width: 30, height: 20 }, width: 231, height: 154 },
      ],
    ] as const) {
      const answer = await server.get(`/iiif/3/noise/${region}/${size}/0/default.png`);
      const decoded = await image.render(request);
      expect(Buffer.compare((await pixelsOf(answer.body)).data, decoded.data as Uint8Array)).toBe(0);
    }
  });

  it('at zoom 60 and at zoom 1000, where a double has long lost the place', async () => {
    for (const z of [60, 1000]) {
      const x = (5n << BigInt(z - 4)) + 3n;
      const y = (4n << BigInt(z - 4)) + 1n;
      // A tile at zoom z is 256 * 2^(2-z) native pixels wide.
      const span = { numerator: 1024n, denominator: 1n << BigInt(z) };
      const decoded = await image.render({
        region: {
          x: { numerator: x * span.numerator, denominator: span.denominator },
          y: { numerator: y * span.numerator, denominator: span.denominator },
          width: span,
          height: span,
        },
        width: 256,
        height: 256,
      });
      expect(Buffer.compare((await tile(`${z}/${x}/${y}`)).data, decoded.data as Uint8Array)).toBe(0);
    }
  });
});

describe('tiles join', () => {
  for (const z of [2, 4, 60])
    it(`at zoom ${z}: both sides of a border are columns and rows of one wider rendering`, async () => {
      const half = 1n << BigInt(z - 2);
      const x = half - (z === 2 ? 1n : 0n);
      const y = z === 2 ? 0n : half / 2n;
      const span = { numerator: 1024n, denominator: 1n << BigInt(z) };
      const at = (tiles: bigint) => ({ numerator: tiles * span.numerator, denominator: span.denominator });
      const wide = await image.render({
        region: { x: at(x), y: at(y), width: at(2n), height: at(z === 2 ? 1n : 2n) },
        width: 512,
        height: z === 2 ? 256 : 512,
      });
      const left = await tile(`${z}/${x}/${y}`);
      const right = await tile(`${z}/${x + 1n}/${y}`);
      expect(Buffer.compare(left.data, crop(wide, 0, 0, 256, 256))).toBe(0);
      expect(Buffer.compare(right.data, crop(wide, 256, 0, 256, 256))).toBe(0);
      if (z !== 2) {
        const below = await tile(`${z}/${x}/${y + 1n}`);
        expect(Buffer.compare(below.data, crop(wide, 0, 256, 256, 256))).toBe(0);
      }
    });

  for (const [ratio, zooms] of [
    [2, 1],
    [4, 2],
  ] as const)
    it(`with @${ratio}x: the ${ratio ** 2} tiles of ${zooms} zooms further`, async () => {
      const large = await tile(`3/1/1@${ratio}x`);
      for (let dy = 0; dy < ratio; dy++)
        for (let dx = 0; dx < ratio; dx++) {
          const small = await tile(`${3 + zooms}/${ratio + dx}/${ratio + dy}`);
          expect(Buffer.compare(small.data, crop(large, 256 * dx, 256 * dy, 256, 256))).toBe(0);
        }
    });
});
