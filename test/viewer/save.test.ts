import { describe, expect, it } from 'vitest';
import { directoryOf, encoded, imageOf, picture, startServer } from '../server/server-fixture.ts';
import { builtViewer, MISSING, openPage, quickEngine } from './browser.ts';

const there = MISSING === undefined;
const file = await encoded(picture(400, 300));
const server = there
  ? await startServer({
      roots: [
        await directoryOf({
          'noise.liif': file,
          'clear.png': await imageOf(picture(40, 30, 4))
            .png()
            .toBuffer(),
          // As some systems write them: marks of their own after the letters.
          'Cafe\u0301 हिन्दी.liif': file,
        }),
      ],
      openEngine: quickEngine,
      viewer: await builtViewer(),
      maxWaitMs: 30_000,
    })
  : undefined;

/** What the page saves, and what it encodes for that: held back until it is released. */
interface Saving {
  readonly names: readonly string[];
  readonly held: number;
  /** Resolves once what became of it has become known. */
  release(): Promise<void>;
}

/** The page of a picture, entered from the gallery, at zoom 1. */
async function open(title = 'noise') {
  const page = await openPage({ viewport: { width: 320, height: 240 } });
  await page.addInitScript(() => {
    const names: string[] = [];
    const waiting: (() => void)[] = [];
    const saving = {
      names,
      held: 0,
      async release() {
        for (const go of waiting) go();
        // Encoding, and all that waits for it.
        for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve));
      },
    };
    const { convertToBlob } = OffscreenCanvas.prototype;
    OffscreenCanvas.prototype.convertToBlob = async function (...options) {
      const blob = await convertToBlob.apply(this, options);
      saving.held++;
      await new Promise<void>((resolve) => waiting.push(resolve));
      return blob;
    };
    HTMLAnchorElement.prototype.click = function () {
      names.push(this.download);
    };
    Object.assign(window, { saving });
  });
  await page.goto(server!.localUrl);
  await page.locator('.card', { hasText: title }).first().click();
  await page.waitForSelector('.readout');
  const saving = <T>(act: (saving: Saving) => T) =>
    page.evaluate(`(${act})(window.saving)`) as Promise<Awaited<T>>;
  return {
    page,
    saving,
    /** Asks for the view at a width, and waits until it is being encoded. */
    async save(width: number) {
      const before = await saving(({ held }) => held);
      await page.keyboard.press('s');
      await page.getByLabel('Width in pixels').fill(String(width));
      await page.getByRole('button', { name: 'Save', exact: true }).click();
      await expect.poll(() => saving(({ held }) => held)).toBe(before + 1);
    },
  };
}

describe.skipIf(!there)(`saving what is in view${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('saves nothing of what was canceled while it was encoded, and what is asked for after that', async () => {
    const { page, saving, save } = await open();
    await save(64);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await save(32);
    await saving((it) => it.release());
    expect(await saving(({ names }) => names)).toEqual(['noise-32x24.png']);
    expect(await page.locator('dialog[open]').count()).toBe(0);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('calls the image what the picture is called, in whatever script', async () => {
    const { page, saving, save } = await open('हिन्दी');
    await save(64);
    await saving((it) => it.release());
    expect(await saving(({ names }) => names)).toEqual(['Café-हिन्दी-64x48.png']);
    await page.close();
  });

  it('says that colors under strong transparency are rounded, where there is any', async () => {
    const words = async (title: string) => {
      const { page } = await open(title);
      await page.keyboard.press('s');
      const note = await page.locator('.dialog-note').first().textContent();
      await page.close();
      return note;
    };
    expect(await words('clear')).toMatch(/PNG; colors under strong transparency are rounded$/);
    expect(await words('noise')).toMatch(/PNG$/);
  });

  it('saves nothing once its page has been left', async () => {
    const { page, saving, save } = await open();
    await save(64);
    await page.goBack();
    await page.waitForSelector('.card');
    await saving((it) => it.release());
    expect(await saving(({ names }) => names)).toEqual([]);
    expect(page.faults).toEqual([]);
    await page.close();
  });
});
