import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { directoryOf, encoded, picture, startServer } from '../server/server-fixture.ts';
import { builtViewer, findings, MISSING, openPage, quickEngine, tilesLoaded } from './browser.ts';

const there = MISSING === undefined;
const viewer = await builtViewer();
const server = there
  ? await startServer({
      roots: [await directoryOf({ 'noise.liif': await encoded(picture(400, 300)) })],
      openEngine: quickEngine,
      viewer,
      allowUpload: true,
      maxWaitMs: 30_000,
    })
  : undefined;

describe.skipIf(!there)(`people who see, hear or move otherwise${MISSING ? ` (${MISSING})` : ''}`, () => {
  it.each([
    ['light', 800, 600],
    ['dark', 800, 600],
    ['light', 320, 640],
  ] as const)(
    'get a gallery and a viewer in which axe finds nothing, %s, %i wide',
    async (colorScheme, width, height) => {
      const page = await openPage({ colorScheme, viewport: { width, height } });
      await page.goto(server!.localUrl);
      await page.waitForSelector('.card');
      expect(await findings(page)).toEqual([]);
      await page.goto(`${server!.localUrl}view?id=noise#x=200&y=150&z=4&compare=bicubic&at=0.4`);
      await page.waitForSelector('.readout');
      await page.keyboard.press('i');
      await tilesLoaded(page);
      expect(await findings(page)).toEqual([]);
      await page.keyboard.press('s');
      expect(await findings(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await page.keyboard.press('?');
      expect(await findings(page)).toEqual([]);
      await page.close();
    },
  );

  it('find a named, focusable map, a slider, and real buttons with names', async () => {
    const page = await openPage();
    await page.goto(`${server!.localUrl}view?id=noise`);
    await page.waitForSelector('.readout');
    const map = page.getByRole('region', { name: /^noise, 400 × 300/ });
    expect(await map.getAttribute('tabindex')).toBe('0');
    expect(await map.evaluate((element) => element === document.activeElement)).toBe(true);
    // A keyboard user sees where the focus is.
    await page.keyboard.press('Tab');
    await page.keyboard.press('Shift+Tab');
    await tilesLoaded(page);
    const edge = await page.screenshot({ clip: { x: 0, y: 300, width: 4, height: 1 } });
    const [white, black] = [255, 0].map((value) => Array<number>(6).fill(value));
    // Of two colors, one of which is seen on any tile.
    expect([...(await sharp(edge).removeAlpha().raw().toBuffer())]).toEqual([...white!, ...black!]);
    for (const name of [
      'Zoom in',
      'Zoom out',
      'Whole picture',
      'Compare',
      'Inspect pixels',
      'Save as PNG',
      'Full screen',
      'Keys',
      'All pictures',
    ]) {
      const button = page.getByRole('button', { name, exact: true });
      expect(await button.evaluate((element) => element.tagName)).toBe('BUTTON');
    }
    await page.getByRole('button', { name: 'Compare' }).click();
    const slider = page.getByRole('slider', { name: /Curtain/ });
    expect(await slider.getAttribute('aria-valuetext')).toMatch(/% picture/);
    await page.close();
  });

  it('find the buttons of files and their names in a narrow window', async () => {
    const page = await openPage({ viewport: { width: 320, height: 640 } });
    await page.goto(server!.localUrl);
    await page.waitForSelector('.card');
    for (const name of ['Open a file', 'Add images']) {
      await page.getByRole('button', { name, exact: true }).waitFor({ state: 'attached' });
      await page.getByTitle(name, { exact: true }).waitFor();
    }
    await page.close();
  });

  it('hear the keys of buttons as they are called', async () => {
    const page = await openPage();
    await page.goto(`${server!.localUrl}view?id=noise`);
    const shortcut = (name: string) =>
      page.getByRole('button', { name, exact: true }).getAttribute('aria-keyshortcuts');
    expect([await shortcut('Zoom in'), await shortcut('Zoom out')]).toEqual(['Plus', '-']);
    await page.close();
  });

  it('are told the scale after a zoom, politely', async () => {
    const page = await openPage();
    await page.goto(`${server!.localUrl}view?id=noise#x=200&y=150&z=1`);
    const live = page.locator('#scale-announcement');
    await live.getByText('Scale 1 times, native').waitFor({ state: 'attached' });
    expect(await live.getAttribute('aria-live')).toBe('polite');
    await page.keyboard.press('+');
    await page.keyboard.press('+');
    await live.getByText('Scale 4 times, synthesized. Middle at x 200').waitFor({ state: 'attached' });
    await page.close();
  });

  it('are told of the same point that the readout shows', async () => {
    // Of odd size: its middle lies between pixels of the screen.
    const page = await openPage({ viewport: { width: 801, height: 601 } });
    await page.goto(`${server!.localUrl}view?id=noise#x=200&y=150&z=3.3`);
    const live = page.locator('#scale-announcement');
    await live.getByText('Scale 4.92 times').waitFor({ state: 'attached' });
    expect(await live.textContent()).toMatch(/Middle at x 200\.0 {2}y 150\.0\.$/);
    expect(await page.locator('.readout-coordinates').textContent()).toBe('x 200.0y 150.0');
    await page.close();
  });

  it('reach everything with the keyboard alone', async () => {
    const page = await openPage();
    await page.goto(server!.localUrl);
    await page.waitForSelector('.card');
    for (let i = 0; i < 6; i++) {
      await page.keyboard.press('Tab');
      if (await page.evaluate(() => document.activeElement?.classList.contains('card'))) break;
    }
    await page.keyboard.press('Enter');
    await page.waitForSelector('.readout');
    await page.keyboard.press('Shift+?');
    await page.getByRole('heading', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    const before = page.url();
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction((url) => location.href !== url, before);
    await page.close();
  });

  it('are on the picture when the curtain goes on which they were', async () => {
    const page = await openPage();
    await page.goto(`${server!.localUrl}view?id=noise`);
    await page.waitForSelector('.readout');
    const focused = () => page.evaluate(() => document.activeElement!.getAttribute('role'));
    await page.keyboard.press('c');
    expect(await focused()).toBe('slider');
    await page.keyboard.press('c');
    expect(await focused()).toBe('region');
    // Whoever pressed the button stays there.
    await page.getByRole('button', { name: 'Compare' }).press('Enter');
    await page.getByRole('button', { name: 'Compare' }).press('Enter');
    expect(await page.evaluate(() => document.activeElement!.getAttribute('aria-label'))).toBe('Compare');
    await page.close();
  });

  it('get a page that fits a phone, with targets of 40 pixels', async () => {
    const page = await openPage({ viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });
    await page.goto(`${server!.localUrl}view?id=noise`);
    await page.waitForSelector('.readout');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    const boxes = await page
      .locator('button:visible')
      .evaluateAll((buttons) =>
        buttons
          .map((button) => button.getBoundingClientRect())
          .map(({ left, right, top, bottom }) => ({ left, right, top, bottom })),
      );
    expect(boxes.length).toBeGreaterThan(8);
    for (const { left, right, top, bottom } of boxes) {
      expect(left).toBeGreaterThanOrEqual(0);
      expect(right).toBeLessThanOrEqual(360);
      expect(Math.min(right - left, bottom - top)).toBeGreaterThanOrEqual(40);
    }
    await page.close();
  });

  it('pinch and double tap', async () => {
    const page = await openPage({ viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });
    await page.goto(`${server!.localUrl}view?id=noise#x=200&y=150&z=2`);
    await page.waitForSelector('.readout');
    const client = await page.context().newCDPSession(page);
    const touch = (
      type: 'touchStart' | 'touchMove' | 'touchEnd',
      points: readonly (readonly [number, number])[],
    ) =>
      client.send('Input.dispatchTouchEvent', {
        type,
        touchPoints: points.map(([x, y], id) => ({ x, y, id })),
      });
    await touch('touchStart', [
      [160, 300],
      [200, 300],
    ]);
    for (let spread = 20; spread <= 80; spread += 10) {
      await touch('touchMove', [
        [180 - spread, 300],
        [180 + spread, 300],
      ]);
      await page.waitForTimeout(30);
    }
    await touch('touchEnd', []);
    await page.waitForFunction(() => /z=(3\.[5-9]|4)/.test(location.hash));
    await page.close();
  });
});

describe('the built viewer', () => {
  it('weighs less than 150 kB, gzipped', () => {
    const files = readdirSync(viewer, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.(js|css|html)$/.test(name),
    );
    const bytes = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(viewer, name))).length, 0);
    expect(files.length).toBeGreaterThan(3);
    expect(bytes).toBeLessThan(150_000);
  });
});
