import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { directoryOf, encoded, imageOf, picture, startServer } from '../server/server-fixture.ts';
import { builtViewer, intercept, MISSING, openPage, openView, quickEngine, tilesLoaded } from './browser.ts';

const there = MISSING === undefined;
const flat = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#963' } })
    .png()
    .toBuffer();
const server = there
  ? await startServer({
      roots: [
        await directoryOf({
          'noise.liif': await encoded(picture(400, 300)),
          'large.liif': await encoded(picture(1600, 1200)),
          'plain.png': await flat(600, 401),
          'wide.png': await flat(12000, 8),
          'glass.png': await imageOf(picture(400, 300, 4))
            .png()
            .toBuffer(),
        }),
      ],
      openEngine: quickEngine,
      viewer: await builtViewer(),
      maxWaitMs: 30_000,
    })
  : undefined;
const open = (address: string) => openView(server!.localUrl, address);

describe.skipIf(!there)(`beneath the tiles${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('lies the picture in small, in its place, after a quick way out of the depth', async () => {
    const page = await open('noise#x=200&y=150&z=60');
    await tilesLoaded(page);
    const backdrop = page.locator('.backdrop');
    expect(await backdrop.isVisible()).toBe(false);
    // None of the new tiles comes.
    await intercept(page, /\/noise\/\d/, () => undefined);
    await page.evaluate(() => {
      location.hash = '#x=200&y=150&z=1';
    });
    await page.waitForFunction(() => {
      const image = document.querySelector<HTMLImageElement>('.backdrop')!;
      return image.getBoundingClientRect().width === 400 && image.naturalWidth > 0;
    });
    expect(await backdrop.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(320);
    await page.mouse.move(400, 300);
    await page.mouse.wheel(0, -90);
    await page.waitForFunction(() => location.hash.endsWith('z=1.5'));
    const { x, y, width, height } = (await backdrop.boundingBox())!;
    const scale = Math.SQRT2;
    for (const [is, wanted] of [
      [x, 400 - 200 * scale],
      [y, 300 - 150 * scale],
      [width, 400 * scale],
      [height, 300 * scale],
    ] as const)
      expect(Math.abs(is - wanted)).toBeLessThan(1);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('lies an overview of a large picture, asked for before tiles of a reduction, which do not wait for it for long', async () => {
    const page = await openPage();
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    const tiles = () => asked.filter((path) => path.startsWith('/large/'));
    const overview = '/iiif/3/large/full/!400,400/0/default.jpg';
    const given: number[] = [];
    await page.route(`**${overview}*`, async (route) => {
      const answer = await route.fetch();
      // Tiles that wait for nothing have been asked for by then; others wait for a second and a half.
      await page.waitForTimeout(100);
      given.push(tiles().length);
      await route.fulfill({ response: answer });
    });
    const address = `${server!.localUrl}view?id=large`;
    await page.goto(address);
    await tilesLoaded(page);
    expect(given).toEqual([0]);
    expect(await page.locator('.backdrop').evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(
      400,
    );
    // It never comes, and deep tiles would not have waited.
    await page.unroute(`**${overview}*`);
    await page.route(`**${overview}*`, () => undefined);
    await page.reload();
    await tilesLoaded(page);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it.each([
    // Scales of 36.8 and 1/2: the lower edge is in the middle of the window, or the whole of the height.
    ['plain', 'x=300&y=401&z=7.2', 270, 300],
    ['wide', 'x=6000&y=4&z=5', 298, 302],
  ])('ends where the picture does: %s', async (name, place, from, to) => {
    const page = await open(`${name}.png#${place}`);
    await tilesLoaded(page, 0.001);
    await page.addStyleTag({
      content: '.panel, .leaflet-tile-pane { display: none !important } .map { background: #fff !important }',
    });
    const painted = async () => {
      const shot = await page.screenshot({ clip: { x: 400, y: 270, width: 1, height: 60 } });
      const { data } = await sharp(shot).extractChannel(2).raw().toBuffer({ resolveWithObject: true });
      const rows = [...data].flatMap((blue, row) => (blue < 0xc0 ? [270 + row] : []));
      return [rows[0], rows.at(-1)! + 1];
    };
    await expect.poll(painted).toEqual([expect.closeTo(from, -0.5), expect.closeTo(to, -0.5)]);
    await page.close();
  });

  it('lies nothing where tiles are transparent', async () => {
    const page = await open('glass.png');
    await tilesLoaded(page, 0.3);
    expect(await page.locator('.backdrop').count()).toBe(0);
    await page.close();
  });
});
