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
const open = (hash: string, options: Parameters<typeof openView>[2] = {}) =>
  openView(server!.localUrl, `noise${hash}`, options);

describe.skipIf(!there)(`gestures${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('move by every press of an arrow, also while the map is still on its way', async () => {
    const page = await open('#x=100&y=150&z=5', { reducedMotion: 'no-preference' });
    await tilesLoaded(page);
    // 90 pixels each, 16 times enlarged.
    for (let i = 0; i < 16; i++) await page.keyboard.down('ArrowRight');
    await page.keyboard.up('ArrowRight');
    await page.waitForFunction(() => /#x=(190|189\.9\d*|190\.0\d*)&/.test(location.hash));
    // There and back: it stays where it is.
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowRight');
    await page.waitForTimeout(600);
    await expect.poll(() => page.url()).toMatch(/#x=(190|189\.9\d*|190\.0\d*)&/);
    await page.close();
  });

  it('open the curtain once, however long its key is held', async () => {
    const page = await open('#x=200&y=150&z=3');
    for (let i = 0; i < 4; i++) await page.keyboard.down('c');
    await page.keyboard.up('c');
    expect(await page.locator('.curtain-line').isVisible()).toBe(true);
    await page.keyboard.press('c');
    expect(await page.locator('.curtain-line').isVisible()).toBe(false);
    await page.close();
  });

  it('go on with the finger that stays after a pinch', async () => {
    const page = await open('#x=200&y=150&z=4', { hasTouch: true });
    const session = await page.context().newCDPSession(page);
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', ...points: { x: number; id: number }[]) =>
      session.send('Input.dispatchTouchEvent', {
        type,
        touchPoints: points.map((point) => ({ ...point, y: 300 })),
      });
    const x = () => page.evaluate(() => Number(/x=([-\d.]+)/.exec(location.hash)![1]));
    await touch('touchStart', { x: 350, id: 0 }, { x: 450, id: 1 });
    await touch('touchMove', { x: 300, id: 0 }, { x: 500, id: 1 });
    await page.waitForFunction(() => document.querySelector('.readout-scale')?.textContent === '16×');
    // The other one goes.
    await touch('touchEnd', { x: 300, id: 0 });
    // 160 pixels of the screen, 16 times enlarged.
    for (let to = 480; to >= 340; to -= 20) await touch('touchMove', { x: to, id: 1 });
    await touch('touchEnd');
    await expect.poll(x).toBeCloseTo(210, 0);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('pinch from where the view is, while it was still on its way and counts from another place there', async () => {
    const page = await open('#x=200&y=150&z=31.2', { hasTouch: true, reducedMotion: 'no-preference' });
    await tilesLoaded(page);
    const session = await page.context().newCDPSession(page);
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', ...xs: number[]) =>
      session.send('Input.dispatchTouchEvent', {
        type,
        touchPoints: xs.map((x, id) => ({ x, y: 300, id })),
      });
    // To 34, slowly: a millisecond a frame. The map counts from another root tile beyond 32.
    await page.evaluate(() => {
      const onFrame = requestAnimationFrame;
      window.requestAnimationFrame = (act) => onFrame(() => act(0));
      const wheel = () =>
        new WheelEvent('wheel', { deltaY: -180, clientX: 400, clientY: 300, cancelable: true });
      for (let i = 0; i < 3; i++) document.querySelector('.map')!.dispatchEvent(wheel());
    });
    await page.waitForFunction(() => document.querySelector('.readout-scale')!.textContent !== '1.2·10⁹×');
    await touch('touchStart', 350, 450);
    const scale = () =>
      page.evaluate(() => {
        const [value, power] = document.querySelector('.readout-scale')!.textContent!.split('·10');
        const digits = [...power!.slice(0, -1)].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'.indexOf(digit));
        return Number(value) * 10 ** Number(digits.join(''));
      });
    const before = await scale();
    for (let by = 5; by <= 50; by += 5) {
      await touch('touchMove', 350 - by, 450 + by);
      await page.waitForTimeout(30);
    }
    await touch('touchEnd');
    await expect.poll(scale).toBeGreaterThan(1.8 * before);
    await page.waitForTimeout(400);
    expect(await scale()).toBeLessThan(2.2 * before);
    const view = new URLSearchParams(await page.evaluate(() => location.hash.slice(1)));
    expect(Number(view.get('x'))).toBeCloseTo(200, 6);
    expect(Number(view.get('y'))).toBeCloseTo(150, 6);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('zoom around the pointer on the line of the curtain, too', async () => {
    const page = await open('#x=200&y=150&z=3&compare=bicubic&at=0.5');
    await page.mouse.move(400, 200);
    await page.mouse.wheel(0, -180);
    // 100 pixels over the middle: 25 of the picture before, 12.5 after.
    await page.waitForFunction(() => /#x=200(\.0\d*)?&y=137\.\d*&z=4&/.test(location.hash));
    await page.close();
  });
});
