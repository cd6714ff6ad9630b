import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { LiifImage } from '../../src/decode.ts';
import { nativeZoom } from '../../src/pixels/tile.ts';
import { sha256, tilePixels } from '../browser/chromium.ts';

/** A tile on screen that the page has decoded. */
export interface DecodedTile {
  /** Its corner from the middle of the map, in pixels. */
  readonly left: number;
  readonly top: number;
  /** Of its pixels as they are on screen. */
  readonly digest: string;
}

/**
 * In the page: whether all tiles are there, decoded by it, and those of another zoom, which lie beneath until
 * then, are gone.
 */
export function isDecoded(): boolean {
  const tiles = [...document.querySelectorAll('.liif-tile')];
  const zooms = new Set(tiles.map(({ parentElement }) => parentElement));
  return zooms.size === 1 && tiles.every((tile) => tile.firstElementChild instanceof HTMLCanvasElement);
}

/** In the page: the tiles in view. */
export async function tilesInView(): Promise<DecodedTile[]> {
  const map = document.querySelector('.map')!.getBoundingClientRect();
  const found: DecodedTile[] = [];
  for (const tile of document.querySelectorAll<HTMLCanvasElement>('.liif-tile canvas')) {
    const { left, top, right, bottom } = tile.getBoundingClientRect();
    // Those around the view are made ahead.
    if (right <= map.left || bottom <= map.top || left >= map.right || top >= map.bottom) continue;
    const copy = new OffscreenCanvas(tile.width, tile.height);
    const context = copy.getContext('2d')!;
    context.drawImage(tile, 0, 0);
    const { data } = context.getImageData(0, 0, tile.width, tile.height);
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
    found.push({
      left: left - map.left - map.width / 2,
      top: top - map.top - map.height / 2,
      digest: Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join(''),
    });
  }
  return found;
}

/** The tiles in view when all are there and move no longer. */
export async function tilesAtRest(page: {
  decoded(): Promise<unknown>;
  tiles(): Promise<DecodedTile[]>;
}): Promise<DecodedTile[]> {
  for (let before = ''; ; await delay(200)) {
    await page.decoded();
    const tiles = await page.tiles();
    if (JSON.stringify(tiles) === before) return tiles;
    before = JSON.stringify(tiles);
  }
}

/** Demands that tiles around x, y at zoom z have the bytes that `liif decode` gives. */
export async function expectExactTiles(
  tiles: readonly DecodedTile[],
  x: number,
  y: number,
  z: number,
  image: LiifImage,
): Promise<void> {
  const scale = 2 ** (z - nativeZoom(image));
  for (const { left, top, digest } of tiles) {
    const column = (x * scale + left) / 256;
    const row = (y * scale + top) / 256;
    expect(Math.abs(column - Math.round(column))).toBeLessThan(0.01);
    const pixels = await tilePixels(image, z, BigInt(Math.round(column)), BigInt(Math.round(row)), 256);
    expect(digest, `${z}/${column}/${row}`).toBe(sha256(pixels));
  }
  expect(tiles.length).toBeGreaterThan(1);
}
