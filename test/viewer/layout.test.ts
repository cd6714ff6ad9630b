import type { Locator, Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { directoryOf, encoded, picture, startServer } from '../server/server-fixture.ts';
import { builtViewer, MISSING, openPage, quickEngine } from './browser.ts';

const there = MISSING === undefined;
const server = there
  ? await startServer({
      roots: [await directoryOf({ 'noise.liif': await encoded(picture(400, 300)) })],
      openEngine: quickEngine,
      viewer: await builtViewer(),
      maxWaitMs: 30_000,
    })
  : undefined;

async function open(address: string, options: Parameters<typeof openPage>[0] = {}) {
  const page = await openPage(options);
  await page.goto(`${server!.localUrl}${address}`);
  await page.waitForSelector(address.startsWith('view') ? '.readout' : '.card');
  return page;
}

/** Panels that lie over one another or off the screen, and buttons that cannot be pressed. */
function collisions(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    const panels = [...document.querySelectorAll('.panel:not(dialog, .navigator-idle)')]
      .map((panel) => ({ name: panel.className, box: panel.getBoundingClientRect() }))
      .filter(({ box }) => box.width > 0);
    panels.forEach(({ name, box }, i) => {
      if (box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight)
        found.push(`${name} is off the screen`);
      for (const { name: other, box: near } of panels.slice(i + 1))
        if (box.left < near.right && near.left < box.right && box.top < near.bottom && near.top < box.bottom)
          found.push(`${name} over ${other}`);
    });
    for (const button of document.querySelectorAll('.stage button, .stage select, .curtain-handle')) {
      const { left, right, top, bottom } = button.getBoundingClientRect();
      const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
      if (right > left && !button.contains(hit)) found.push(`${button.className} below ${hit?.className}`);
    }
    return found;
  });
}

/** What lies over the middle of an element instead of itself. */
function covered(locator: Locator): Promise<string | undefined> {
  return locator.evaluate((element) => {
    const { left, right, top, bottom } = element.getBoundingClientRect();
    const found = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    return element.contains(found) ? undefined : (found?.className ?? 'nothing: it is off the screen');
  });
}

describe.skipIf(!there)(`layout of the viewer${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('lays no panel over another, whatever the size and whatever is open', async () => {
    const page = await open('view?id=noise#x=200.123&y=150.456&z=5&compare=bicubic&at=0.5');
    await page.keyboard.press('i');
    await page.waitForFunction(() =>
      /At the point\d+, /.test(document.querySelector('.inspector')!.textContent!),
    );
    const bad: string[] = [];
    for (const height of [320, 360, 414, 480, 481, 580, 581, 640, 900])
      for (const width of [320, 360, 480, 559, 560, 640, 641, 683, 700, 740, 768, 845, 860, 861, 896, 1280]) {
        await page.setViewportSize({ width, height });
        for (const collision of await collisions(page)) bad.push(`${width} x ${height}: ${collision}`);
      }
    expect(bad).toEqual([]);
    await page.close();
  });

  it('has one place for messages, whatever tells them, in full screen too', async () => {
    const page = await open('view?id=noise');
    await page.dispatchEvent('body', 'drop', {
      dataTransfer: await page.evaluateHandle(() => {
        const data = new DataTransfer();
        data.items.add(new File(['text'], 'notes.txt'));
        return data;
      }),
    });
    await page.getByText('notes.txt is not a .liif file').waitFor();
    await page.keyboard.press('f');
    await page.waitForFunction(() => document.fullscreenElement);
    await page.keyboard.press('l');
    const second = page.locator('.notice + .notice');
    await second.waitFor();
    expect(await covered(second)).toBe(undefined);
    expect(await page.locator('.notices').count()).toBe(1);
    // Those of the page go with it.
    await page.getByRole('button', { name: 'All pictures' }).click();
    await page.waitForSelector('.card');
    expect(await page.locator('.notice').allTextContents()).toEqual([
      'notes.txt is not a .liif file, and no other images are taken here.',
    ]);
    await page.close();
  });
});
