import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { startStaticHost } from '../browser/chromium.ts';
import { directoryOf } from '../server/server-fixture.ts';
import { builtViewer, MISSING, openPage } from './browser.ts';

const there = MISSING === undefined;
const viewer = there ? await builtViewer() : '';

describe.skipIf(!there)(`the first page of a host of files${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('shows thumbnails where there are some, when they come into view', async () => {
    const small = await sharp({ create: { width: 48, height: 32, channels: 3, background: '#468' } })
      .webp()
      .toBuffer();
    const files = ['a #1?.liif', 'b.liif', ...Array.from({ length: 60 }, (_, i) => `more ${i}.liif`)];
    const pictures = files.map((file) => ({
      file,
      width: 480,
      height: 320,
      bytes: 1000,
      quality: 90,
      ...(file !== 'b.liif' && { thumbnail: `thumbnails/${encodeURIComponent(`${file}.webp`)}` }),
    }));
    const folder = await directoryOf(Object.fromEntries(files.map((file) => [`${file}.webp`, small])));
    const host = await startStaticHost(
      new Map([
        ['index.html', await readFile(join(viewer, 'files/index.html'))],
        ['pictures.json', Buffer.from(JSON.stringify({ version: 1, pictures }))],
      ]),
      { '/thumbnails': folder, '/': viewer },
    );
    const page = await openPage();
    // Narrow and low: most of the list lies far below.
    await page.setViewportSize({ width: 400, height: 300 });
    await page.goto(host.url);
    const image = page.locator('.start-list li').first().locator('img');
    await expect.poll(() => image.evaluate((it: HTMLImageElement) => it.naturalWidth)).toBe(48);
    expect(await page.locator('.start-list li').nth(1).locator('img').count()).toBe(0);
    const last = page.locator('.start-list img').last();
    expect(await last.evaluate((it: HTMLImageElement) => it.complete)).toBe(false);
    await last.scrollIntoViewIfNeeded();
    await expect.poll(() => last.evaluate((it: HTMLImageElement) => it.naturalWidth)).toBe(48);
    expect(page.faults).toEqual([]);
    await page.close();
    host.close();
  });
});
