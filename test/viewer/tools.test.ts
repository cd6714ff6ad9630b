import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import {
  directoryOf,
  encoded,
  eventually,
  imageOf,
  picture,
  pixelsOf,
  startServer,
} from '../server/server-fixture.ts';
import { builtViewer, intercept, MISSING, openPage, quickEngine, tilesLoaded } from './browser.ts';

const there = MISSING === undefined;
const directory = await directoryOf({
  'noise.liif': await encoded(picture(400, 300)),
  'noise.png': await imageOf(picture(400, 300)).png().toBuffer(),
  'plain.png': await imageOf(picture(200, 150, 3, 9))
    .png()
    .toBuffer(),
});
const server = there
  ? await startServer({
      roots: [directory],
      openEngine: quickEngine,
      viewer: await builtViewer(),
      allowUpload: true,
      maxWaitMs: 30_000,
    })
  : undefined;
const open = async (address: string, options: Parameters<typeof openPage>[0] = {}) => {
  const page = await openPage(options);
  await page.goto(`${server!.localUrl}${address}`);
  if (address.startsWith('view')) await page.waitForSelector('.readout');
  return page;
};

describe.skipIf(!there)(`tools of the viewer${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('compares across a curtain that keys move', async () => {
    const page = await open('view?id=noise#x=200&y=150&z=5');
    await tilesLoaded(page);
    await page.keyboard.press('c');
    const slider = page.getByRole('slider');
    expect(await slider.evaluate((handle) => handle === document.activeElement)).toBe(true);
    expect(await slider.getAttribute('aria-valuenow')).toBe('50');
    await page.keyboard.press('ArrowLeft');
    expect(await slider.getAttribute('aria-valuenow')).toBe('48');
    await page.keyboard.press('Home');
    expect(await slider.getAttribute('aria-valuenow')).toBe('0');
    await page.keyboard.press('End');
    await page.keyboard.press('Shift+ArrowLeft');
    expect(await slider.getAttribute('aria-valuetext')).toBe('90 % picture, 10 % bicubic');
    // The map has not moved meanwhile.
    await page.waitForFunction(() => location.hash.endsWith('&compare=bicubic&at=0.9'));
    expect(page.url()).toMatch(/#x=200(\.00\d*)?&y=150(\.00\d*)?&z=5&/);
    // From its own list, too.
    await page.getByLabel('Compare with').focus();
    await page.keyboard.press('Escape');
    expect(await slider.isVisible()).toBe(false);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('leaves keys with Alt to the browser while the curtain has the focus', async () => {
    const page = await open('view?id=noise#x=200&y=150&z=5');
    await page.keyboard.press('c');
    const left = await page.evaluate(() => {
      const heard: boolean[] = [];
      addEventListener('keydown', (event) => heard.push(!event.defaultPrevented), { once: true });
      const init = { key: 'ArrowLeft', bubbles: true, cancelable: true };
      document.activeElement!.dispatchEvent(new KeyboardEvent('keydown', { ...init, altKey: true }));
      return heard;
    });
    expect(left).toEqual([true]);
    expect(await page.getByRole('slider').getAttribute('aria-valuenow')).toBe('50');
    await page.close();
  });

  it('moves the curtain by as much as the pointer moves, wherever it is taken', async () => {
    const page = await open('view?id=noise#x=200&y=150&z=5');
    await page.keyboard.press('c');
    await page.mouse.move(415, 300);
    await page.mouse.down();
    await page.mouse.move(435, 300);
    await page.mouse.up();
    await page.waitForFunction(() => location.hash.endsWith('&at=0.525'));
    await page.close();
  });

  it('copies a link to where a zoom is going', async () => {
    const page = await open('view?id=noise#x=200&y=150&z=1', { reducedMotion: 'no-preference' });
    const hash = await page.evaluate(() => {
      for (const key of '++l') dispatchEvent(new KeyboardEvent('keydown', { key }));
      return location.hash;
    });
    expect(hash).toMatch(/&z=3$/);
    await page.close();
  });

  it('shows the picture on one side of the curtain and the original on the other', async () => {
    const page = await open('view?id=noise#x=200&y=150&z=1&compare=original&at=0.5', {
      viewport: { width: 400, height: 300 },
    });
    await tilesLoaded(page);
    await page.waitForFunction(() => document.querySelectorAll('.leaflet-curtain-pane img').length >= 4);
    expect(await page.locator('.curtain-choice').inputValue()).toBe('original');
    // Nothing but the tiles, to compare with the server's.
    await page.addStyleTag({ content: '.panel, .curtain-line, .progress { display: none !important }' });
    let data = Buffer.alloc(0);
    const own = await pixelsOf((await server!.get('/noise/1/0/0.webp')).body);
    const other = await pixelsOf((await server!.get('/noise.png/1/0/0.webp')).body);
    const difference = (pixels: typeof own, left: number) => {
      let sum = 0;
      for (let y = 20; y < 230; y++)
        for (let x = left; x < left + 30; x++)
          for (let c = 0; c < 3; c++)
            sum += Math.abs(data[(y * 400 + x) * 3 + c]! - pixels.data[(y * 256 + x) * pixels.channels + c]!);
      return sum / (210 * 30 * 3);
    };
    const differences = async () => {
      data = await sharp(await page.screenshot())
        .removeAlpha()
        .raw()
        .toBuffer();
      return Math.max(difference(own, 160), difference(other, 210));
    };
    await expect.poll(differences).toBeLessThan(1);
    expect(difference(other, 160)).toBeGreaterThan(5);
    expect(difference(own, 210)).toBeGreaterThan(5);
    await page.close();
  });

  it('tells the exact samples under the pointer, and the value between them', async () => {
    const page = await open('view?id=noise#x=200&y=150&z=1');
    await page.keyboard.press('i');
    await page.mouse.move(400 - 60, 300 - 40);
    const pixel = (await server!.get('/noise/pixel?x=140&y=110')).json();
    const [red, green, blue] = pixel.rgba;
    const inspector = page.getByRole('region', { name: 'Pixel inspector' });
    await page.waitForFunction(() => /140, 110/.test(document.querySelector('.inspector')!.textContent!));
    await inspector.getByText(`${red}, ${green}, ${blue}`).waitFor();
    // Past native, the network's value at the point.
    await page.keyboard.press('Escape');
    await page.evaluate(() => {
      location.hash = '#x=100.3&y=80.6&z=4';
    });
    await page.keyboard.press('i');
    await page.mouse.move(400, 300);
    await inspector.getByText('At the point').waitFor();
    await page.waitForFunction(() =>
      /At the point\d+, \d+, \d+/.test(document.querySelector('.inspector')!.textContent!),
    );
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('tells samples once they can be had again, though nothing moves', async () => {
    const page = await open('view?id=noise#x=140.5&y=110.5&z=1');
    let reachable = false;
    await intercept(page, /\/iiif\/|\/pixel\?/, (route) => (reachable ? route.continue() : route.abort()));
    const refused = page.waitForEvent('requestfailed', (request) => /\/noise\/\d+,/.test(request.url()));
    // The pointer rests beside the map from here on.
    await page.getByRole('button', { name: 'Inspect pixels' }).click();
    await refused;
    reachable = true;
    const inspector = page.getByRole('region', { name: 'Pixel inspector' });
    const [red, green, blue] = (await server!.get('/noise/pixel?x=140&y=110')).json().rgba;
    await inspector.getByText(`${red}, ${green}, ${blue}`).waitFor();
    await page.close();
  });

  it('says of a picture whose tiles are gone that it is no longer there', async () => {
    const page = await open('view?id=noise#x=140&y=110&z=1');
    await intercept(page, /\/noise\/\d+\//, (route) => route.fulfill({ status: 404 }));
    await page.evaluate(() => {
      location.hash = '#x=100&y=80&z=5';
    });
    await page.getByText('The picture is no longer there.').waitFor();
    await page.close();
  });

  it('saves what is in view, pixel for pixel', async () => {
    const page = await open('view?id=noise#x=120&y=90&z=3', { viewport: { width: 320, height: 240 } });
    await tilesLoaded(page);
    await page.keyboard.press('s');
    await page.getByLabel('Width in pixels').fill('640');
    await page.getByText('640 × 480 pixels').waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save', exact: true }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('noise-640x480.png');
    const saved = await pixelsOf(await readFile((await download.path())!));
    expect([saved.width, saved.height]).toEqual([640, 480]);
    // 640 pixels at zoom 4 around 120 * 8 = 960: from 640 on, the middle of tile 2.
    const tile = await pixelsOf((await server!.get('/noise/4/3/2.png')).body);
    const pick = (raster: typeof saved, x: number, y: number) => {
      const at = (y * raster.width + x) * raster.channels;
      return [...raster.data.slice(at, at + 3)];
    };
    // Left edge 640, upper edge 90 * 8 - 240 = 480; tile 3/2 begins at 768, 512.
    for (const [x, y] of [
      [0, 0],
      [37, 211],
      [255, 100],
    ] as const)
      expect(pick(saved, 768 - 640 + x, 512 - 480 + y)).toEqual(pick(tile, x, y));
    expect(await page.locator('dialog[open]').count()).toBe(0);
    await page.close();
  });

  it('refuses to save more than a browser can hold', async () => {
    const page = await open('view?id=noise');
    await page.keyboard.press('s');
    await page.getByLabel('Width in pixels').fill('90000');
    await page.getByText(/At most \d+ pixels wide/).waitFor();
    expect(await page.getByRole('button', { name: 'Save', exact: true }).isDisabled()).toBe(true);
    await page.close();
  });

  it('goes where the navigator is pressed', async () => {
    const page = await open('view?id=noise#x=200&y=150&z=6');
    await tilesLoaded(page);
    const box = (await page.locator('.navigator').boundingBox())!;
    await page.mouse.click(box.x + box.width / 4, box.y + box.height / 4);
    await page.waitForFunction(() => /#x=(99|100)/.test(location.hash));
    await tilesLoaded(page);
    await page.keyboard.press('n');
    expect(await page.locator('.navigator').isVisible()).toBe(false);
    await page.close();
  });

  it('tells a damaged picture from one that is too large to be served', async () => {
    const root = await directoryOf({
      'broken.liif': (await encoded(picture(64, 64))).subarray(0, 60),
      'huge.png': await imageOf(picture(301, 203)).png().toBuffer(),
    });
    const strict = await startServer({
      roots: [root],
      openEngine: quickEngine,
      viewer: await builtViewer(),
      maxPlainPixels: 301 * 203 - 1,
    });
    const page = await openPage();
    await page.goto(strict.localUrl);
    await page.waitForSelector('.fault');
    expect(await page.locator('.fault').allTextContents()).toEqual([
      'broken: the file is damaged.',
      'huge: this server cannot decode the file: it is too large, of an unknown kind, or needs a model that is not here.',
    ]);
    await page.close();
  });

  it('fills the gallery two thumbnails at a time, in order, and asks again when a busy server says so', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const files = await Promise.all(
      names.map(async (name, i) => [
        `${name}.png`,
        await imageOf(picture(60, 40, 3, i))
          .png()
          .toBuffer(),
      ]),
    );
    const gallery = await startServer({
      roots: [await directoryOf(Object.fromEntries(files))],
      viewer: await builtViewer(),
    });
    const page = await openPage();
    const asked: string[] = [];
    let busy = true;
    let running = 0;
    let most = 0;
    await page.route(/\/full\//, async (route) => {
      const name = /iiif\/3\/(.)\.png\//.exec(route.request().url())![1]!;
      asked.push(name);
      most = Math.max(most, ++running);
      // The first waits for the second, and both for a third that is not to come yet.
      await eventually(() => asked.length > 1);
      await new Promise((resolve) => setTimeout(resolve, 50));
      running--;
      const refused = name === 'a' && busy;
      await (refused ? route.fulfill({ status: 503, headers: { 'Retry-After': '1' } }) : route.continue());
    });
    await page.goto(gallery.localUrl);
    // Nothing broken is shown while a card waits.
    await eventually(() => asked.length > names.length);
    expect(await page.evaluate(() => document.querySelector('.card img')!.getAttribute('src'))).toBe(null);
    busy = false;
    await page.waitForFunction(() =>
      [...document.querySelectorAll<HTMLImageElement>('.card img')].every(
        ({ naturalWidth }) => naturalWidth > 0,
      ),
    );
    expect(most).toBe(2);
    expect([...new Set(asked)]).toStrictEqual(names);
    expect(asked.filter((name) => name === 'a').length).toBeGreaterThan(1);
    expect(page.faults).toStrictEqual([]);
    await page.close();
  });

  it('shows no broken picture in the navigator when the server is too busy for it', async () => {
    const page = await openPage();
    let busy = true;
    let refused = 0;
    await page.route(/\/full\//, (route) => {
      if (!busy) return route.continue();
      refused++;
      return route.fulfill({ status: 503, headers: { 'Retry-After': '1' } });
    });
    await page.goto(`${server!.localUrl}view?id=noise#x=200&y=150&z=6`);
    await eventually(() => refused > 0);
    const image = page.locator('.navigator img');
    expect(await image.getAttribute('src')).toBe(null);
    busy = false;
    await page.waitForFunction(
      () => document.querySelector<HTMLImageElement>('.navigator img')!.naturalWidth > 0,
    );
    await page.close();
  });

  it('encodes an image that is dropped, with progress, and opens it', async () => {
    const page = await open('');
    await page.waitForSelector('.card');
    // The original of a picture is no picture of its own.
    expect(await page.locator('.card .name').allTextContents()).toEqual(['noise', 'plain']);
    const bytes = await imageOf(picture(160, 120, 3, 4))
      .png()
      .toBuffer();
    const transfer = await page.evaluateHandle((base64) => {
      const data = new DataTransfer();
      const array = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      data.items.add(new File([array], 'from my desk.png', { type: 'image/png' }));
      return data;
    }, bytes.toString('base64'));
    await page.dispatchEvent('body', 'dragover', { dataTransfer: transfer });
    expect(await page.locator('.drop-veil').isVisible()).toBe(true);
    await page.dispatchEvent('body', 'drop', { dataTransfer: transfer });
    await page.waitForURL(/view\?id=from%20my%20desk/);
    await page.waitForSelector('.readout');
    await tilesLoaded(page, 0.5);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('takes a .liif as it is, and says what it cannot take', async () => {
    const file = join(await directoryOf({ 'mine.liif': await encoded(picture(80, 60)) }), 'mine.liif');
    const page = await open('');
    await page.locator('#add-images').setInputFiles(file);
    await page.waitForURL(/view\?id=mine/);
    await page.goBack();
    await page.waitForSelector('.card');
    const text = join(await directoryOf(), '.text.txt');
    await writeFile(text, 'no image');
    await page.locator('#add-images').setInputFiles(text);
    await page.getByText('The body is not an image that can be read.').waitFor();
    await page.close();
  });

  it('says so when a picture is not there', async () => {
    const page = await open('');
    await page.goto(`${server!.localUrl}view?id=nothing`);
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('heading').textContent()).toBe('This picture cannot be shown');
    await page.close();
  });
});

describe('a server without the built viewer', () => {
  it('says how to build it, on every page of the viewer', async () => {
    const bare = await startServer({ roots: [directory], viewer: join(directory, 'nothing') });
    await eventually(async () => (await bare.get('/health')).status === 200);
    for (const path of ['/', '/view?id=noise']) {
      const page = await bare.get(path);
      expect(page.status).toBe(200);
      expect(page.body.toString()).toContain('npm run build:viewer');
    }
  });
});
