import { describe, expect, it } from 'vitest';
import { directoryOf, encoded, picture, startServer } from '../server/server-fixture.ts';
import { builtViewer, MISSING, openView, quickEngine, tilesLoaded } from './browser.ts';

const there = MISSING === undefined;
const server = there
  ? await startServer({
      roots: [await directoryOf({ 'noise.liif': await encoded(picture(400, 300)) })],
      openEngine: quickEngine,
      viewer: await builtViewer(),
      maxWaitMs: 30_000,
    })
  : undefined;
const open = (hash = '', options: Parameters<typeof openView>[2] = {}) =>
  openView(server!.localUrl, `noise${hash}`, options);

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
