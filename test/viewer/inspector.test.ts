import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { directoryOf, encoded, imageOf, picture, startServer } from '../server/server-fixture.ts';
import { builtViewer, intercept, MISSING, openView, quickEngine } from './browser.ts';

const there = MISSING === undefined;
/** So transparent that the colors of a canvas are far off. */
const faint = { width: 40, height: 30, channels: 4, data: new Uint8Array(40 * 30 * 4) } as const;
for (let i = 0; i < faint.data.length; i += 4) faint.data.set([200, 100, 50, 6], i);
const server = there
  ? await startServer({
      roots: [
        await directoryOf({
          'faint.png': await imageOf(faint).png().toBuffer(),
          'api.liif': await encoded(picture(80, 60)),
        }),
      ],
      openEngine: quickEngine,
      viewer: await builtViewer(),
      maxWaitMs: 30_000,
    })
  : undefined;

const inspector = (page: Page) => page.getByRole('region', { name: 'Pixel inspector' });

describe.skipIf(!there)(`the pixel inspector${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('tells exact samples under strong transparency, and says "about" until it has them', async () => {
    const page = await openView(server!.localUrl, 'faint.png#x=20.5&y=15.5&z=1');
    let reachable = false;
    await intercept(page, /\/pixel\?/, (route) => (reachable ? route.continue() : route.abort()));
    // The pointer rests beside the map.
    await page.getByRole('button', { name: 'Inspect pixels' }).click();
    await inspector(page).getByText('about 212, 85, 42, alpha 6').waitFor();
    reachable = true;
    await inspector(page).getByText('200, 100, 50, alpha 6', { exact: true }).waitFor();
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('tells the value at a point of a picture that is named like an address of the server', async () => {
    const page = await openView(server!.localUrl, 'api#x=40.3&y=30.6&z=5');
    await page.getByRole('button', { name: 'Inspect pixels' }).click();
    const [red, green, blue] = (await server!.get('/%61pi/pixel?x=40.3&y=30.6')).json().rgba;
    await inspector(page).getByText(`At the point${red}, ${green}, ${blue}`).waitFor();
    await page.close();
  });
});
