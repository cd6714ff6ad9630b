import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { folderOf, readBytes, type StaticHost, startStaticHost } from '../browser/chromium.ts';
import { directoryOf } from '../server/server-fixture.ts';
import { builtViewer, MISSING, openPage } from './browser.ts';
import { isDecoded } from './decoded-tiles.ts';

const there = MISSING === undefined;
const viewer = there ? await builtViewer() : '';
const liif = await readBytes('format-spec/vectors/valid/released-photograph.liif');

const hosts: StaticHost[] = [];
afterAll(() => {
  for (const host of hosts) host.close();
});

/** A site as `liif viewer` writes it, of pictures of these names. */
async function siteOf(
  names: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Promise<StaticHost> {
  const pictures = names.map((file) => ({ file, width: 60, height: 44, bytes: liif.length, quality: 90 }));
  const list = JSON.stringify({ version: 1, pictures });
  const files = new Map([
    ['index.html', await readFile(join(viewer, 'files/index.html'))],
    ['pictures.json', Buffer.from(list)],
  ]);
  const folder = await directoryOf(Object.fromEntries(names.map((name) => [name, liif])));
  const host = await startStaticHost(
    files,
    { '/model': folderOf('src/model'), '/': viewer, '': folder },
    headers,
  );
  hosts.push(host);
  return host;
}

describe.skipIf(!there)(`the first page of a host of files${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('opens pictures whose names are special in addresses', async () => {
    const names = [' lead', '%41 50%', 'C\\d', 'Müller & Söhne #1?', 'inv:4711', 'plain'];
    const host = await siteOf(names.map((name) => `${name}.liif`));
    const page = await openPage();
    for (const name of names) {
      await page.goto(host.url);
      await page.locator('.start-list a').nth(names.indexOf(name)).click();
      await page.waitForFunction(isDecoded);
      expect(await page.title()).toBe(`${name.trim()} – liif`);
    }
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('has names that are read from the right above their facts, as the others', async () => {
    const host = await siteOf(['مثال.liif']);
    const page = await openPage();
    await page.goto(host.url);
    const link = page.locator('.start-list a');
    await link.waitFor();
    const left = (selector: string) =>
      link.locator(selector).evaluate((it) => {
        const range = document.createRange();
        range.selectNodeContents(it);
        return range.getBoundingClientRect().left;
      });
    expect(await left('.name')).toBeCloseTo(await left('.facts'), 0);
    await page.close();
  });

  it('shows pictures where the host requires trusted types', async () => {
    const host = await siteOf(['photo.liif'], {
      'Content-Security-Policy': "require-trusted-types-for 'script'",
    });
    const page = await openPage();
    await page.goto(host.url);
    await page.locator('.start-list a').click();
    // Not by a function: Playwright would make it of a text.
    await page.locator('.liif-tile canvas').first().waitFor();
    const refused = await page.evaluate(() => {
      try {
        return String(new Worker('https://example.org/worker.js'));
      } catch (error) {
        return (error as Error).name;
      }
    });
    expect(refused).toBe('TypeError');
    await page.close();
  });

  it('finds pictures by a part of their names where there are many', async () => {
    const host = await siteOf(Array.from({ length: 30 }, (_, i) => `Map ${i}.liif`));
    const page = await openPage();
    await page.goto(host.url);
    await page.getByRole('searchbox', { name: 'Find pictures' }).fill('map 2');
    const shown = page.locator('.start-list li:visible .name');
    await expect.poll(() => shown.count()).toBe(11);
    expect(await shown.last().textContent()).toBe('Map 29');
    await page.close();
  });
});
