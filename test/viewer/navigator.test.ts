import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { directoryOf, startServer } from '../server/server-fixture.ts';
import { builtViewer, MISSING, openView, quickEngine } from './browser.ts';

const there = MISSING === undefined;
const strip = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#963' } })
    .png()
    .toBuffer();
const server = there
  ? await startServer({
      roots: [await directoryOf({ 'wide.png': await strip(4000, 8), 'tall.png': await strip(8, 4000) })],
      openEngine: quickEngine,
      viewer: await builtViewer(),
      maxWaitMs: 30_000,
    })
  : undefined;

describe.skipIf(!there)(`the navigator${MISSING ? ` (${MISSING})` : ''}`, () => {
  it.each([
    ['wide', '#x=2000&y=4&z=5', 'x'],
    ['tall', '#x=4&y=2000&z=5', 'y'],
  ] as const)('can be seen and pressed for strips, too: %s', async (name, place, axis) => {
    const page = await openView(server!.localUrl, `${name}.png${place}`);
    const box = (await page.locator('.navigator').boundingBox())!;
    expect(Math.min(box.width, box.height)).toBeGreaterThan(10);
    const part = axis === 'x' ? [0.25, 0.5] : [0.5, 0.25];
    await page.mouse.click(box.x + box.width * part[0]!, box.y + box.height * part[1]!);
    const at = () =>
      page.evaluate((key) => Number(new URLSearchParams(location.hash.slice(1)).get(key)), axis);
    await expect.poll(async () => Math.abs((await at()) - 1000)).toBeLessThan(60);
    await page.close();
  });
});
