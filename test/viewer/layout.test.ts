import type { Locator } from 'playwright-core';
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

/** What lies over the middle of an element instead of itself. */
function covered(locator: Locator): Promise<string | undefined> {
  return locator.evaluate((element) => {
    const { left, right, top, bottom } = element.getBoundingClientRect();
    const found = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    return element.contains(found) ? undefined : (found?.className ?? 'nothing: it is off the screen');
  });
}

describe.skipIf(!there)(`layout of the viewer${MISSING ? ` (${MISSING})` : ''}`, () => {
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
