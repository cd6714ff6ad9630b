import { openImage } from '../../src/decode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { readBytes, sha256, tilePixels } from './chromium.ts';

/** A picture with several chunks and overviews, and one with alpha. */
export const FILES = ['released-photograph', 'released-alpha-and-overview', 'released-chunks'];
/** Of a tile past native scale. */
export const SIDE = 64;

/** What `liif decode` gives for a file: digests of all of it, and of a tile past native scale. */
export async function decodedHere(engine: Engine, name: string): Promise<string[]> {
  const image = await openImage(await readBytes(`format-spec/vectors/valid/${name}.liif`), { engine });
  const whole = await image.render();
  const tile = await tilePixels(image, 1, 0n, 0n, SIDE);
  await image.close();
  return [sha256(whole.data), sha256(tile)];
}

/** In the page of the folder page: opens an engine; what it is. */
export async function openInPage(engine: 'auto' | 'webgpu' | 'wasm') {
  const warnings: string[] = [];
  const opened = await window.liif.openEngine({
    model: 'models/liif-1.safetensors',
    engine,
    softwareAdapter: engine === 'webgpu',
    onWarning: (message) => warnings.push(message),
  });
  Object.assign(window, { engine: opened });
  return { name: opened.name, device: opened.device, isolated: crossOriginIsolated, warnings };
}

/** In the page, with its engine: what `decodedHere` gives here. */
export async function decodeInPage([name, side]: readonly [name: string, side: number]): Promise<string[]> {
  const { engine } = window as unknown as { engine: Engine };
  const image = await window.liif.open(`pictures/${name}.liif`, { engine });
  const whole = await image.render();
  const tile = await window.liif.renderTile(image, 1, 0n, 0n, side);
  const digests = [await window.sha256(whole.data), await window.sha256(tile.data)];
  await image.close();
  return digests;
}

/** A picture in Display P3. */
export const WIDE = 'released-display-p3';

/** In the page, with its engine: a tile of a picture, and what its colors are said to be. */
export async function tileInPage([name, side]: readonly [name: string, side: number]) {
  const { engine } = window as unknown as { engine: Engine };
  const image = await window.liif.open(`pictures/${name}.liif`, { engine });
  const raster = await image.render();
  const tile = await window.liif.renderTile(image, 0, 0n, 0n, side);
  await image.close();
  return { decoded: raster.colorSpace, shown: tile.colorSpace, data: [...tile.data] };
}
