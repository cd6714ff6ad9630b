import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { openImage } from '../../src/decode.ts';
import { directoryOf, encoded, picture, startServer, testEngine } from '../server/server-fixture.ts';
import { builtViewer, intercept, MISSING, openView, quickEngine, tilesLoaded } from './browser.ts';
import { expectNativePixels } from './screen-pixels.ts';

const there = MISSING === undefined;
/** Native at zoom 2. */
const large = await encoded(picture(900, 700));
const server = there
  ? await startServer({
      roots: [await directoryOf({ 'noise.liif': await encoded(picture(400, 300)), 'large.liif': large })],
      openEngine: quickEngine,
      viewer: await builtViewer(),
      maxWaitMs: 30_000,
    })
  : undefined;
const open = (hash = '', options: Parameters<typeof openView>[2] = {}) =>
  openView(server!.localUrl, `noise${hash}`, options);

/** Whether all tiles have come, with so many pixels a side. */
const haveSide = (page: Page, side: number) =>
  page.waitForFunction((wanted) => {
    const tiles = [...document.querySelectorAll('.liif-tile')];
    const images = tiles.map((tile) => tile.firstElementChild as HTMLImageElement | null);
    return images.length > 0 && images.every((image) => image?.naturalWidth === wanted);
  }, side);

describe.skipIf(!there)(`the viewer on other screens${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('takes finer tiles when the browser zooms the page, and pixels of CSS are no longer those of the screen', async () => {
    const page = await open('#x=200&y=150&z=3');
    await tilesLoaded(page);
    const client = await page.context().newCDPSession(page);
    const metrics = { width: 400, height: 300, deviceScaleFactor: 2, mobile: false };
    await client.send('Emulation.setDeviceMetricsOverride', metrics);
    await page.waitForFunction(() => {
      const tiles = [...document.querySelectorAll<HTMLImageElement>('.liif-tile img')];
      return tiles.length > 0 && tiles.every(({ naturalWidth }) => naturalWidth === 512);
    });
    // And tells the scale anew: eight pixels of the screen for one of the picture.
    expect(await page.textContent('.readout-scale')).toBe('8×');
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('keeps what it shows where finer tiles do not come', async () => {
    const page = await open('#x=200&y=150&z=3');
    await tilesLoaded(page);
    const shown = () => page.locator('.liif-tile img').count();
    await intercept(page, /\/noise\/\d/, (route) => route.abort());
    const client = await page.context().newCDPSession(page);
    const metrics = { width: 400, height: 300, deviceScaleFactor: 2, mobile: false };
    await client.send('Emulation.setDeviceMetricsOverride', metrics);
    await page.waitForSelector('.notice-fault');
    expect(await shown()).toBeGreaterThan(3);
    expect(await page.locator('.liif-tile-failed').count()).toBe(0);
    await page.unrouteAll();
    await page.click('.notice-fault button');
    await haveSide(page, 512);
    expect(await page.locator('.notice-fault').count()).toBe(0);
    await page.close();
  });

  it('comes to native scale after the pixels of the screen have changed, too', async () => {
    const page = await open('#x=200&y=150&z=3');
    await tilesLoaded(page);
    const client = await page.context().newCDPSession(page);
    const metrics = { width: 400, height: 300, deviceScaleFactor: 4, mobile: false };
    await client.send('Emulation.setDeviceMetricsOverride', metrics);
    await page.waitForFunction(() => devicePixelRatio === 4);
    await page.waitForFunction(() => document.querySelector('.readout-scale')!.textContent === '16×');
    await page.keyboard.press('1');
    await expect
      .poll(() => page.locator('.readout-scale, .badge').allTextContents())
      .toEqual(['1×', 'native']);
    await page.close();
  });

  it('counts pixels of the screen in scale, badge, key and what is saved, and those of CSS in links', async () => {
    const page = await open('#x=200&y=150&z=1', { deviceScaleFactor: 2 });
    const told = () => page.locator('.readout-scale, .badge').allTextContents();
    expect(await told()).toEqual(['2×', 'synthesized']);
    await page.keyboard.press('1');
    expect(await told()).toEqual(['1×', 'native']);
    await page.waitForFunction(() => location.hash.endsWith('z=0'));
    await page.keyboard.press('s');
    expect(await page.getByLabel('Width in pixels').inputValue()).toBe('1600');
    await page.getByText('1600 × 1200 pixels, scale 1×, PNG').waitFor();
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it.each([
    [1.25, 256],
    [1.5, 512],
    [2.625, 512],
    [3, 1024],
  ])(
    'shows native scale in the bytes of liif decode with %s pixels of the screen to one of CSS, still or moved',
    async (ratio, side) => {
      const image = await openImage(large, { engine: await testEngine() });
      const page = await openView(server!.localUrl, 'large#x=450&y=350&z=2', { deviceScaleFactor: ratio });
      await intercept(page, /\/\d+\/\d+\/\d+(@\dx)?\.webp/, (route) =>
        route.continue({ url: route.request().url().replace('.webp', '.png') }),
      );
      await page.keyboard.press('1');
      await haveSide(page, side);
      expect(await page.textContent('.badge')).toBe('native');
      const raster = await image.render();
      await expectNativePixels(page, raster);
      const before = await page.evaluate(() => location.hash);
      await page.mouse.move(400, 300);
      await page.mouse.down();
      await page.mouse.move(410, 310);
      await page.mouse.move(431, 287);
      await page.waitForTimeout(300);
      await page.mouse.up();
      await page.waitForFunction((hash) => location.hash !== hash, before);
      await haveSide(page, side);
      await expectNativePixels(page, raster);
      expect(page.faults).toEqual([]);
      await page.close();
    },
  );

  it('asks on its way to native scale for the tiles that it will show there, and for no others', async () => {
    const page = await openView(server!.localUrl, 'large#x=450&y=350&z=2', {
      deviceScaleFactor: 3,
      reducedMotion: 'no-preference',
    });
    const asked: string[] = [];
    page.on('request', (request) => asked.push(...(/\/0\/0\/0.*(?=\.webp)/.exec(request.url()) ?? [])));
    await page.keyboard.press('1');
    await haveSide(page, 1024);
    expect(asked).toEqual(['/0/0/0@4x']);
    await page.close();
  });

  it('shows pictures at native scale that are smaller than the window then', async () => {
    const page = await open('#x=200&y=150&z=1', { deviceScaleFactor: 3 });
    await page.keyboard.press('1');
    expect(await page.locator('.readout-scale, .badge').allTextContents()).toEqual(['1×', 'native']);
    await page.close();
  });

  it('shows the whole picture on when a phone is turned, and only to whom it was shown', async () => {
    const page = await open('', { viewport: { width: 400, height: 800 } });
    expect(await page.textContent('.readout-scale')).toBe('1×');
    await page.setViewportSize({ width: 800, height: 270 });
    await page.waitForFunction(() => document.querySelector('.readout-scale')!.textContent === '90 %');
    await page.evaluate(() => {
      location.hash = '#x=200&y=150&z=2';
    });
    await page.waitForFunction(() => document.querySelector('.readout-scale')!.textContent === '2×');
    await page.setViewportSize({ width: 270, height: 800 });
    await page.waitForTimeout(300);
    expect(await page.textContent('.readout-scale')).toBe('2×');
    await page.close();
  });
});
