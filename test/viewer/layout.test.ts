import type { Locator, Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { directoryOf, encoded, picture, startServer } from '../server/server-fixture.ts';
import { builtViewer, MISSING, openPage, quickEngine } from './browser.ts';

const there = MISSING === undefined;
const LONG = 'name without end '.repeat(9).trim();
const file = await encoded(picture(400, 300));
const server = there
  ? await startServer({
      roots: [
        await directoryOf({
          'noise.liif': file,
          'clear.liif': await encoded(picture(400, 300, 4)),
          [`${LONG}.liif`]: file,
          'תמונה (2).liif': file,
        }),
      ],
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

/** Drops a file of text on the page. */
async function drop(page: Page, name: string): Promise<void> {
  const dataTransfer = await page.evaluateHandle((fileName) => {
    const data = new DataTransfer();
    data.items.add(new File(['text'], fileName));
    return data;
  }, name);
  await page.dispatchEvent('body', 'drop', { dataTransfer });
}

const widthOf = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth);

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

/** What is wrong with a page of this size, and stays so: it hears of its size a moment later. */
async function faultsAt(
  page: Page,
  size: { readonly width: number; readonly height: number },
  faults: () => Promise<readonly string[]>,
): Promise<string[]> {
  await page.setViewportSize(size);
  await page.evaluate(async ({ width, height }) => {
    const frame = () => new Promise(requestAnimationFrame);
    while (innerWidth !== width || innerHeight !== height) await frame();
    for (let i = 0; i < 2; i++) await frame();
  }, size);
  let found = await faults();
  for (let look = 0; look < 50 && found.length > 0; look++) {
    await page.waitForTimeout(100);
    found = await faults();
  }
  return found.map((fault) => `${size.width} x ${size.height}: ${fault}`);
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
    for (const height of [256, 319, 320, 360, 414, 480, 481, 580, 581, 640, 900])
      for (const width of [
        320, 360, 427, 480, 559, 560, 640, 641, 683, 700, 740, 768, 845, 860, 861, 896, 1280,
      ]) {
        bad.push(...(await faultsAt(page, { width, height }, () => collisions(page))));
      }
    expect(bad).toEqual([]);
    await page.close();
  });

  it('lays no panel over another in low windows without the inspector', async () => {
    const page = await open('view?id=noise#x=200.123&y=150.456&z=5&compare=bicubic&at=0.5');
    await page.locator('.navigator img[src]').waitFor({ state: 'attached' });
    const bad: string[] = [];
    for (const height of [256, 319, 320, 400])
      for (const width of [320, 427, 559, 560, 860, 861])
        bad.push(...(await faultsAt(page, { width, height }, () => collisions(page))));
    expect(bad).toEqual([]);
    await page.close();
  });

  it('leaves names to read on a phone whose text is twice as large', async () => {
    const options = { viewport: { width: 360, height: 640 } };
    const large = 'html { font-size: 200% }';
    const page = await open(`view?id=${encodeURIComponent(LONG)}`, options);
    const widthOfWords = () =>
      page.locator('h1').evaluate((it) => it.clientWidth / Number.parseFloat(getComputedStyle(it).fontSize));
    expect(await widthOfWords()).toBeGreaterThan(6);
    const height = (await page.locator('.title').boundingBox())!.height;
    await page.addStyleTag({ content: large });
    expect(await widthOfWords()).toBeGreaterThan(6);
    expect((await page.locator('.title').boundingBox())!.height).toBeLessThan(4 * height);
    expect(await collisions(page)).toEqual([]);
    await page.close();
    const gallery = await open('', options);
    await gallery.addStyleTag({ content: large });
    expect((await gallery.getByTitle(LONG).boundingBox())!.width).toBeGreaterThan(180);
    await gallery.close();
  });

  it('cuts no fact of a picture on a phone: they take a second line', async () => {
    const page = await open('view?id=noise', { viewport: { width: 360, height: 640 } });
    const facts = page.locator('.title .facts > span');
    expect(await facts.count()).toBe(3);
    expect(await facts.evaluateAll((all) => all.filter((it) => it.scrollWidth > it.clientWidth).length)).toBe(
      0,
    );
    const rows = await facts.evaluateAll(
      (all) => new Set(all.map((it) => it.getBoundingClientRect().top)).size,
    );
    expect(rows).toBe(2);
    await page.close();
  });

  it('has a last row of pictures that is not higher than those above it', async () => {
    const page = await open('', { viewport: { width: 1280, height: 900 } });
    const shown = page.locator('.grid');
    await shown.evaluate((grid) => {
      const item = grid.firstElementChild!;
      for (const left of [...grid.children].slice(1)) left.remove();
      (item as HTMLElement).style.setProperty('--aspect', '1');
      for (let i = 1; i < 7; i++) grid.append(item.cloneNode(true));
    });
    const widths = await shown.evaluate((grid) =>
      [...grid.children].map((item) => item.getBoundingClientRect().width),
    );
    expect(widths[6]).toBeGreaterThan(190);
    expect(widths[6]).toBeLessThanOrEqual(widths[0]!);
    await page.close();
  });

  it('has a place for the longest values of a pixel in small windows', async () => {
    const page = await open('view?id=clear#x=200.123&y=150.456&z=40&compare=bicubic&at=0.5');
    await page.keyboard.press('i');
    await page.waitForFunction(() =>
      /At the point\d+, /.test(document.querySelector('.inspector')!.textContent!),
    );
    const bad: string[] = [];
    for (const height of [256, 319, 320, 360, 371, 400, 401, 414, 480, 640])
      for (const width of [320, 360, 427, 480, 559]) {
        const faults = async () => {
          // A window of another size has them asked for again, so they are written where they are looked at.
          await page.evaluate(() => {
            const [, value, point] = document.querySelectorAll('.inspector dd');
            for (const element of [value!, point!])
              element.lastChild!.textContent = '255, 255, 255, alpha 128';
          });
          const over = await page.locator('.inspector').evaluate((it) => it.scrollWidth - it.clientWidth);
          return [...(await collisions(page)), ...(over > 0 ? ['values reach out of the inspector'] : [])];
        };
        bad.push(...(await faultsAt(page, { width, height }, faults)));
      }
    expect(bad).toEqual([]);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('has one place for messages, whatever tells them, in full screen too', async () => {
    const page = await open('view?id=noise');
    await drop(page, 'notes.txt');
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

  it.each([360, 900])(
    'keeps messages and their buttons on the screen, however long names are: %i wide',
    async (width) => {
      const page = await open('', { viewport: { width, height: 600 } });
      await page.route('**/api/images?*', (route) =>
        route.fulfill({ json: { upload: true, total: 0, images: [], failed: [] } }),
      );
      await page.route('**/api/images?name=*', () => {});
      await page.reload();
      await page.waitForSelector('.empty');
      await drop(page, `${'n'.repeat(150)}.png`);
      const cancel = page.getByRole('button', { name: 'Cancel' });
      await cancel.waitFor();
      expect(await covered(cancel)).toBe(undefined);
      await cancel.click();
      await page.goto(`${server!.localUrl}?src=${'x'.repeat(300)}.liif`);
      await page.getByRole('alert').waitFor();
      expect(await widthOf(page)).toBe(width);
      await page.close();
    },
  );

  it('says in one line that there is nothing yet', async () => {
    const page = await open('', { viewport: { width: 900, height: 600 } });
    await page.route('**/api/images?*', (route) =>
      route.fulfill({ json: { upload: false, total: 0, images: [], failed: [] } }),
    );
    await page.reload();
    const words = page.locator('.empty p');
    await words.waitFor();
    expect((await words.boundingBox())!.height).toBeLessThan(30);
    await page.close();
  });

  it('keeps the chip beside a name that is cut, and names from right to left begin on the right', async () => {
    const page = await open('', { viewport: { width: 360, height: 640 } });
    const name = page.getByTitle(LONG);
    const box = (await name.boundingBox())!;
    const chip = (await name.locator('+ .kind').boundingBox())!;
    expect(chip.x).toBeGreaterThan(box.x + box.width);
    expect(Math.abs(chip.y + chip.height / 2 - box.y - box.height / 2)).toBeLessThan(8);
    const directions = (selector: string) =>
      page.locator(selector).evaluateAll((all) => all.map((element) => getComputedStyle(element).direction));
    expect((await directions('.name')).sort()).toEqual(['ltr', 'ltr', 'ltr', 'rtl']);
    await page.getByText('תמונה (2)').click();
    await page.waitForSelector('.readout');
    expect(await directions('h1')).toEqual(['rtl']);
    await page.close();
  });

  it('opens the help at its beginning in a low window', async () => {
    const page = await open('view?id=noise', { viewport: { width: 683, height: 384 } });
    await page.keyboard.press('?');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    expect(
      await dialog.evaluate(({ scrollTop, scrollHeight, clientHeight }) => [
        scrollTop,
        scrollHeight > clientHeight,
      ]),
    ).toEqual([0, true]);
    await page.close();
  });

  it('tells what is pressed where the system takes colors away', async () => {
    const page = await open('view?id=noise', { forcedColors: 'active' });
    // What a style sheet's color becomes, as the page has it.
    const system = (color: string) =>
      page.evaluate((name) => {
        const probe = document.createElement('div');
        probe.style.cssText = `forced-color-adjust: none; background: ${name}`;
        document.body.append(probe);
        const { backgroundColor } = getComputedStyle(probe);
        probe.remove();
        return backgroundColor;
      }, color);
    const background = (selector: string, part?: string) =>
      page
        .locator(selector)
        .evaluate((element, pseudo) => getComputedStyle(element, pseudo).backgroundColor, part);
    expect(await background('[aria-label="Navigator"][aria-pressed]')).toBe(await system('Highlight'));
    expect(await background('[aria-label="Compare"]')).not.toBe(await system('Highlight'));
    expect(await background('.switch-track', '::after')).toBe(await system('ButtonText'));
    await page.close();
  });

  it('prints the picture without its tools', async () => {
    const page = await open('view?id=noise#x=200&y=150&z=5&compare=bicubic&at=0.5');
    await page.keyboard.press('l');
    await page.locator('.notice').waitFor();
    await page.emulateMedia({ media: 'print' });
    expect(await page.locator('.panel:visible, .curtain-handle:visible').count()).toBe(0);
    expect(await page.locator('.map').isVisible()).toBe(true);
    await page.close();
  });
});
