import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { directoryOf, encoded, eventually, imageOf, picture, startServer } from '../server/server-fixture.ts';
import { builtViewer, intercept, MISSING, openPage, quickEngine } from './browser.ts';

const there = MISSING === undefined;
const liif = await encoded(picture(60, 40));
const png = await imageOf(picture(60, 40)).png().toBuffer();
/** 70 pictures with their originals, and one that is broken: more than are listed at once. */
const files: Record<string, Uint8Array> = { 'broken.liif': liif.subarray(0, 60) };
for (let i = 10; i < 80; i++) Object.assign(files, { [`p${i}.liif`]: liif, [`p${i}.png`]: png });

async function serverOf(directory: string) {
  return startServer({
    roots: [directory],
    openEngine: quickEngine,
    viewer: await builtViewer(),
    maxWaitMs: 30_000,
  });
}
const server = there ? await serverOf(await directoryOf(files)) : undefined;

async function open(address = server!.localUrl) {
  const page = await openPage();
  await page.goto(address);
  await page.waitForSelector('.card');
  return page;
}

describe.skipIf(!there)(`the gallery${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('counts pictures, not their originals nor broken files, and keeps faults when more are shown', async () => {
    const page = await open();
    const fault = page.getByText('broken: the file is damaged.');
    expect(await page.locator('.count').textContent()).toBe('70 pictures');
    await fault.waitFor();
    await page.getByRole('button', { name: 'Show more' }).click();
    await page.waitForFunction(() => document.querySelectorAll('.card').length === 70);
    expect(await page.locator('.count').textContent()).toBe('70 pictures');
    expect(await fault.count()).toBe(1);
    await page.close();
  });

  it('says that the list is on its way where that takes long, until it has come or failed', async () => {
    const page = await openPage();
    let answer = (_fails: boolean) => {};
    await page.route('**/api/images?*', async (route) => {
      const fails = await new Promise<boolean>((resolve) => {
        answer = resolve;
      });
      await (fails ? route.abort() : route.continue());
    });
    await page.goto(server!.localUrl);
    const status = page.getByRole('status').filter({ hasText: 'Loading the list' });
    await status.waitFor();
    answer(true);
    await page.getByText('The pictures cannot be listed.').waitFor();
    expect(await status.count()).toBe(0);
    await page.getByRole('button', { name: 'Try again' }).click();
    await status.waitFor();
    answer(false);
    await page.getByText('70 pictures').waitFor();
    await page.close();
  });

  it('says where more were asked for that they cannot be listed, and tries again', async () => {
    const page = await open();
    await intercept(page, '**/api/images?*', (route) => route.abort());
    await page.getByRole('button', { name: 'Show more' }).click();
    await page.getByText('The pictures cannot be listed. The server cannot be reached.').waitFor();
    const again = page.getByRole('button', { name: 'Try again' });
    expect((await again.boundingBox())!.y).toBeLessThan(600);
    await page.unroute('**/api/images?*');
    await again.click();
    await page.waitForFunction(() => document.querySelectorAll('.card').length === 70);
    expect(await page.getByRole('alert').count()).toBe(0);
    await page.close();
  });

  it('is found as it was left: what is listed, where it was scrolled to, and what had the focus', async () => {
    const page = await open();
    await page.getByRole('button', { name: 'Show more' }).click();
    const card = page.locator('.card', { hasText: 'p75' });
    await card.click();
    await page.waitForSelector('.readout');
    // Full screen is of the whole document, or the gallery would lie outside of it.
    await page.keyboard.press('f');
    await page.waitForFunction(() => document.fullscreenElement === document.documentElement);
    await page.getByRole('button', { name: 'All pictures' }).click();
    await page.waitForSelector('.card');
    const place = () =>
      page.evaluate(() => ({
        cards: document.querySelectorAll('.card').length,
        focused: document.activeElement?.querySelector('.name')?.textContent,
        seen: document.activeElement!.getBoundingClientRect().top < innerHeight,
        title: document.title,
      }));
    const left = { cards: 70, focused: 'p75', seen: true, title: 'Pictures – liif' };
    await expect.poll(place).toEqual(left);
    await page.evaluate(() => scrollBy(0, -60));
    const scrolled = await page.evaluate(() => scrollY);
    expect(scrolled).toBeGreaterThan(500);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.readout');
    await page.goBack();
    await page.waitForSelector('.card');
    await expect.poll(place).toEqual(left);
    await expect.poll(() => page.evaluate(() => scrollY)).toBe(scrolled);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('finds pictures by a part of their names, and says where there is none', async () => {
    const page = await open();
    const names = () => page.locator('.card .name').allTextContents();
    const field = page.getByRole('searchbox', { name: 'Find pictures' });
    await field.fill('P7');
    const sevens = Array.from({ length: 10 }, (_, i) => `p7${i}`);
    await expect.poll(names).toEqual(sevens);
    expect(await page.locator('.count').textContent()).toBe('10 pictures');
    // It is the same list when a picture of it has been looked at, and when the page is loaded anew.
    await page.locator('.card', { hasText: 'p73' }).click();
    await page.waitForSelector('.readout');
    await page.goBack();
    await expect.poll(names).toEqual(sevens);
    await page.reload();
    await expect.poll(names).toEqual(sevens);
    expect(await field.inputValue()).toBe('P7');
    await field.fill('none of them');
    await page.getByText('No picture has this in its name.').waitFor();
    await field.fill('');
    await page.waitForFunction(() => document.querySelectorAll('.card').length > 10);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('is as long, and scrolled to where it was, when the page is loaded anew', async () => {
    const page = await open();
    await page.getByRole('button', { name: 'Show more' }).click();
    await page.waitForFunction(() => document.querySelectorAll('.card').length === 70);
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight - innerHeight - 40));
    const scrolled = await page.evaluate(() => scrollY);
    await page.waitForFunction((top) => history.state.gallery?.top === top, scrolled);
    await page.reload();
    await page.waitForFunction(() => document.querySelectorAll('.card').length === 70);
    await expect.poll(() => page.evaluate(() => scrollY)).toBe(scrolled);
    await page.close();
  });

  it('learns of pictures that have come, gone and changed while another page was shown', async () => {
    const directory = await directoryOf({ 'b.liif': liif, 'c.liif': liif, 'd.png': png });
    const own = await serverOf(directory);
    const page = await open(own.localUrl);
    await page.locator('.card', { hasText: 'c' }).click();
    await page.waitForSelector('.readout');
    await writeFile(join(directory, 'a.liif'), liif);
    await rm(join(directory, 'b.liif'));
    await writeFile(join(directory, 'd.png'), await imageOf(picture(30, 40)).png().toBuffer());
    const listed = async () => (await own.get('/api/images')).json().images;
    await eventually(async () => (await listed())[0].id === 'a' && (await listed()).at(-1).width === 30);
    await page.goBack();
    await page.getByText('30 × 40').waitFor();
    await expect.poll(() => page.locator('.name').allTextContents()).toEqual(['a', 'c', 'd']);
    await expect
      .poll(() => page.evaluate(() => document.activeElement?.querySelector('.name')?.textContent))
      .toBe('c');
    await page.waitForFunction(() =>
      [...document.querySelectorAll<HTMLImageElement>('.card img')].every(
        ({ naturalWidth }) => naturalWidth > 0,
      ),
    );
    await page.close();
  });

  it('keeps no picture that is in view waiting for those that were scrolled past', async () => {
    const page = await openPage();
    const asked: string[] = [];
    // The first ones never come.
    await page.route(/\/full\//, async (route) => {
      const [name] = /p\d+/.exec(route.request().url())!;
      asked.push(name);
      if (Number(name.slice(1)) > 50) await route.continue();
    });
    await page.goto(server!.localUrl);
    await eventually(() => asked.length === 2);
    await page.getByRole('button', { name: 'Show more' }).click();
    const last = page.locator('.card', { hasText: 'p79' });
    await last.scrollIntoViewIfNeeded();
    await expect
      .poll(() => last.locator('img').evaluate((image: HTMLImageElement) => image.naturalWidth))
      .toBeGreaterThan(0);
    await page.close();
  });

  it('asks anew for pictures that did not come, when it is shown again or the network is back', async () => {
    const page = await openPage();
    let refused = 0;
    let refuses = true;
    await page.route(/\/full\//, (route) => {
      if (!refuses) return route.continue();
      refused++;
      return route.fulfill({ status: 404 });
    });
    const first = page.locator('.card img').first();
    const width = () => first.evaluate((image: HTMLImageElement) => image.naturalWidth);
    await page.goto(server!.localUrl);
    await eventually(() => refused > 2);
    await page.locator('.card').first().click();
    await page.waitForSelector('.readout');
    const before = refused;
    await page.goBack();
    await eventually(() => refused > before + 2);
    expect(await width()).toBe(0);
    refuses = false;
    await page.context().setOffline(true);
    await page.context().setOffline(false);
    await expect.poll(width).toBeGreaterThan(0);
    await page.close();
  });

  it('shows pictures with as many pixels as they have on the screen, also when that gets finer', async () => {
    const directory = await directoryOf({
      'large.png': await imageOf(picture(1500, 1000)).png().toBuffer(),
      'small.png': png,
    });
    const own = await serverOf(directory);
    const page = await open(own.localUrl);
    const images = () =>
      page.locator('.card img').evaluateAll((all: HTMLImageElement[]) =>
        all.map(({ clientWidth, naturalWidth }) => ({
          naturalWidth,
          enlarged: (clientWidth * devicePixelRatio) / naturalWidth,
        })),
      );
    await expect.poll(async () => (await images())[0]!.naturalWidth).toBe(320);
    const client = await page.context().newCDPSession(page);
    const metrics = { width: 780, height: 580, deviceScaleFactor: 2, mobile: false };
    await client.send('Emulation.setDeviceMetricsOverride', metrics);
    await expect.poll(async () => (await images())[0]!.naturalWidth).toBe(640);
    // No more than there are.
    await expect.poll(async () => (await images())[1]!.naturalWidth).toBe(60);
    expect((await images())[0]!.enlarged).toBeLessThan(1.3);
    expect(page.faults).toEqual([]);
    await page.close();
  });
});
