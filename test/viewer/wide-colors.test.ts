import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openImage } from '../../src/decode.ts';
import { readImage } from '../../src/image/read.ts';
import { afterThisFile } from '../after-file.ts';
import { directoryOf, encoded, picture, startServer, testEngine } from '../server/server-fixture.ts';
import { builtViewer, MISSING, openPage, quickEngine, tilesLoaded } from './browser.ts';

const there = MISSING === undefined;
const bytes = await encoded({ ...picture(400, 300), colorSpace: 'display-p3' });
const server = there
  ? await startServer({
      roots: [await directoryOf({ 'wide.liif': bytes })],
      openEngine: quickEngine,
      viewer: await builtViewer(),
      maxWaitMs: 30_000,
    })
  : undefined;
const engine = await testEngine();
afterThisFile(() => engine.close());

describe.skipIf(!there)(`a picture in Display P3${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('is saved in Display P3, and inspected in numbers of it', async () => {
    const page = await openPage({ viewport: { width: 320, height: 240 } });
    await page.goto(`${server!.localUrl}view?id=wide#x=200&y=150&z=1`);
    await page.waitForSelector('.readout');
    await tilesLoaded(page);
    const image = await openImage(bytes, { engine });
    const whole = await image.render();
    await image.close();

    await page.keyboard.press('i');
    const at = 3 * (150 * 400 + 200);
    const [red, green, blue] = whole.data.subarray(at, at + 3);
    await page
      .getByRole('region', { name: 'Pixel inspector' })
      .getByText(`${red}, ${green}, ${blue}`)
      .waitFor();
    await page.keyboard.press('i');

    await page.keyboard.press('s');
    await page.getByLabel('Width in pixels').fill('320');
    await page.getByText('320 × 240 pixels').waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save', exact: true }).click(),
    ]);
    const { raster } = await readImage(await readFile((await download.path())!));
    expect([raster.width, raster.height, raster.colorSpace]).toEqual([320, 240, 'display-p3']);
    // The browser has read tiles by their profile.
    let farthest = 0;
    for (let y = 0; y < 240; y++)
      for (let x = 0; x < 320; x++)
        for (let c = 0; c < 3; c++) {
          const saved = raster.data[raster.channels * (y * 320 + x) + c]!;
          const stored = whole.data[3 * ((y + 30) * 400 + x + 40) + c]!;
          farthest = Math.max(farthest, Math.abs(saved - stored));
        }
    expect(farthest).toBeLessThanOrEqual(2);
    expect(page.faults).toEqual([]);
    await page.close();
  });
});
