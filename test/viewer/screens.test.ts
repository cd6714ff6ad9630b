import { describe, expect, it } from 'vitest';
import { directoryOf, encoded, picture, startServer } from '../server/server-fixture.ts';
import { builtViewer, MISSING, openPage, quickEngine, tilesLoaded } from './browser.ts';

const there = MISSING === undefined;
const server = there
  ? await startServer({
      roots: [await directoryOf({ 'noise.liif': await encoded(picture(400, 300)) })],
      openEngine: quickEngine,
      viewer: await builtViewer(),
      maxWaitMs: 30_000,
    })
  : undefined;
const open = async (hash = '', options: Parameters<typeof openPage>[0] = {}) => {
  const page = await openPage(options);
  await page.goto(`${server!.localUrl}view?id=noise${hash}`);
  await page.waitForSelector('.readout');
  return page;
};

describe.skipIf(!there)(`the viewer on other screens${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('takes finer tiles when the browser zooms the page, and pixels of CSS are no longer those of the screen', async () => {
    const page = await open('#x=200&y=150&z=3');
    await tilesLoaded(page);
    const client = await page.context().newCDPSession(page);
    const metrics = { width: 400, height: 300, deviceScaleFactor: 2, mobile: false };
    await client.send('Emulation.setDeviceMetricsOverride', metrics);
    await page.waitForFunction(() => {
      const tiles = [...document.querySelectorAll<HTMLImageElement>('.liif-tile img')];
      return tiles.length > 0 && tiles.every(({ naturalWidth }) => naturalWidth === 512);
    });
    expect(page.faults).toEqual([]);
    await page.close();
  });
});
