import { expect, it } from 'vitest';
import { HttpTileSource } from '../../viewer/tiles/http-tile-source.ts';

const picture = { width: 900, height: 700, nativeZoom: 2, tiles: '/large/{z}/{x}/{y}.webp?v=1' };
const options = { server: 'https://pictures.example.org/' };
const plain = new HttpTileSource(picture, { ...options, method: 'bicubic' });

it('asks for plain enlargement where tiles have more pixels than the picture, whatever the screen', () => {
  const asked = (z: number, ratio: number) => plain.url(z, 0n, 0n, 256 * ratio).includes('method=bicubic');
  const past = [1, 2, 3, 4].map((ratio) => [0, 1, 2, 3].filter((z) => asked(z, ratio)));
  expect(past).toEqual([[3], [2, 3], [1, 2, 3], [1, 2, 3]]);
  expect(plain.url(2, 1n, 0n, 512)).toBe(
    'https://pictures.example.org/large/2/1/0@2x.webp?v=1&method=bicubic',
  );
});

it('never asks for it where the network decodes', () => {
  expect(new HttpTileSource(picture, options).url(9, 0n, 0n, 512)).not.toContain('method');
});
