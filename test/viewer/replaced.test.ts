import { copyFile, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeImage } from '../../src/encode.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import { folderOf, type StaticHost, startStaticHost } from '../browser/chromium.ts';
import { directoryOf, eventually, picture, startServer } from '../server/server-fixture.ts';
import { builtViewer, MISSING, openPage, openView, tilesLoaded } from './browser.ts';
import { isDecoded } from './decoded-tiles.ts';

const there = MISSING === undefined;
const viewer = there ? await builtViewer() : '';
const RED = { r: 255, g: 0, b: 0 };
const BLUE = { r: 0, g: 0, b: 255 };
const CHANGED = 'This picture has changed since it was opened.';
const flat = (width: number, height: number, background: typeof RED) =>
  sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer();
const sample = (name: string) => folderOf(`samples/encoded/${name}.liif`);
const directory = await directoryOf({ 'flat.png': await flat(1500, 1000, RED) });
await copyFile(sample('squirrel'), join(directory, 'photo.liif'));
const server = there
  ? await startServer({
      roots: [directory],
      openEngine: async () => openEngine(await releasedModel(), { engine: 'wasm' }),
      viewer,
      maxWaitMs: 30_000,
    })
  : undefined;

const hosts: StaticHost[] = [];
afterAll(() => {
  for (const host of hosts) host.close();
});

/** Puts other bytes in the place of a file, at once, as careful programs do. */
async function replace(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  const beside = join(folder, `.${name}`);
  await writeFile(beside, bytes);
  await rename(beside, join(folder, name));
}

/**
 * The same with a picture of the server, which believes for a while what it has seen: until it gives the new
 * one.
 */
async function replaceServed(id: string, name: string, bytes: Uint8Array): Promise<void> {
  const version = async () => (await server!.get(`/api/images/${id}`)).headers['picture-version'];
  const before = await version();
  await replace(directory, name, bytes);
  await eventually(async () => (await version()) !== before);
}

/** Whether any blue is seen in the map. */
async function bluePixels(page: Page): Promise<number> {
  const { data, info } = await sharp(await page.locator('.map').screenshot())
    .raw()
    .toBuffer({ resolveWithObject: true });
  let found = 0;
  for (let at = 0; at < data.length; at += info.channels) if (data[at]! < 60 && data[at + 2]! > 200) found++;
  return found;
}

let encodedOnce: Promise<Uint8Array> | undefined;
/** A file in chunks of 128 pixels, of which the first view needs a few. */
function long(): Promise<Uint8Array> {
  encodedOnce ??= (async () => {
    const engine = await openEngine(await releasedModel(), { engine: 'wasm' });
    const bytes = await encodeImage(engine, picture(2400, 256), { quality: 90, chunkSize: 8 });
    await engine.close();
    return bytes;
  })();
  return encodedOnce;
}

const facts = (page: Page) => page.locator('.title-words p').textContent();

describe.skipIf(!there)(
  `a picture that is replaced while it is open${MISSING ? ` (${MISSING})` : ''}`,
  () => {
    it('is not mixed with its successor, and is shown anew, in the same place, by a button', async () => {
      const page = await openView(server!.localUrl, 'flat.png#x=450&y=500&z=3');
      await tilesLoaded(page);
      await replaceServed('flat.png', 'flat.png', await flat(3000, 2000, BLUE));
      for (let i = 0; i < 2; i++) await page.keyboard.press('Shift+ArrowRight');
      await page.getByText(CHANGED).waitFor();
      await page.getByText('Picture has changed', { exact: true }).first().waitFor();
      // Nor in samples and what is saved; and nobody is told twice.
      await page.keyboard.press('i');
      await page.getByText('not available').first().waitFor();
      expect(await bluePixels(page)).toBe(0);
      expect(await facts(page)).toMatch(/^1500 × 1000/);
      expect(await page.locator('.notice').count()).toBe(1);
      await page.waitForFunction(() => /^#x=990&y=500&z=3$/.test(location.hash));
      await page.getByRole('button', { name: 'Show it as it is now' }).click();
      // It has twice as many pixels on its side now.
      await page.waitForFunction(() => /^#x=1980&y=1000&z=3$/.test(location.hash));
      await tilesLoaded(page);
      expect(await facts(page)).toMatch(/^3000 × 2000/);
      expect(await page.locator('.notice').count()).toBe(0);
      await expect.poll(() => bluePixels(page)).toBeGreaterThan(10_000);
      expect(page.faults).toEqual([]);
      await page.close();
    });

    it('is refused where the server has another file for what is to be decoded here', async () => {
      const page = await openView(server!.localUrl, 'photo#x=256&y=256&z=2');
      await tilesLoaded(page);
      await replaceServed('photo', 'photo.liif', await readFile(sample('heart')));
      await page.keyboard.press('d');
      await page.getByText(CHANGED).waitFor();
      expect(await page.getByRole('switch').getAttribute('aria-checked')).toBe('false');
      expect(await page.locator('.liif-tile canvas').count()).toBe(0);
      const before = await facts(page);
      await page.getByRole('button', { name: 'Show it as it is now' }).click();
      // The visitor wants it decoded here.
      await page.waitForFunction(isDecoded);
      expect(await facts(page)).not.toBe(before);
      expect(page.faults).toEqual([]);
      await page.close();
    });

    it.each([
      ['', {}],
      [' and lets it be kept', { 'Cache-Control': 'public, max-age=3600' }],
    ])('is noticed by who decodes it where a host has nothing but files%s', async (_title, headers) => {
      const folder = await directoryOf();
      await writeFile(join(folder, 'photo.liif'), await long());
      const index = await readFile(join(viewer, 'index.html'));
      const folders = { '/model': folderOf('src/model'), '/pictures': folder, '/': viewer };
      const host = await startStaticHost(new Map([['index.html', index]]), folders, headers);
      hosts.push(host);
      const page = await openPage({ viewport: { width: 300, height: 300 } });
      await page.goto(`${host.url}?src=pictures/photo.liif#x=100&y=128&z=6`);
      await page.waitForFunction(isDecoded);
      const before = await facts(page);
      await replace(folder, 'photo.liif', await readFile(sample('tea')));
      await page.evaluate(() => {
        location.hash = '#x=2200&y=128&z=6';
      });
      await page.getByText(CHANGED).waitFor();
      await page.getByText('Picture has changed', { exact: true }).first().waitFor();
      await page.getByRole('button', { name: 'Show it as it is now' }).click();
      await page.waitForFunction(isDecoded);
      expect(await facts(page)).not.toBe(before);
      expect(await page.locator('.notice').allTextContents()).toEqual([]);
      expect(page.faults).toEqual([]);
      await page.close();
    });
  },
);
