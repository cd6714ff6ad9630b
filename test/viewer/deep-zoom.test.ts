import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { directoryOf, encoded, imageOf, picture, startServer } from '../server/server-fixture.ts';
import { builtViewer, intercept, MISSING, openPage, openView, quickEngine, tilesLoaded } from './browser.ts';

const NATIVE_ZOOM = 1;
/** Holds a quarter of the tiles of a common window, and joints between tiles on both axes. */
const SMALL = { width: 500, height: 360 };
const there = MISSING === undefined;
const server = there
  ? await startServer({
      roots: [
        await directoryOf({
          'noise.liif': await encoded(picture(400, 300)),
          'flat.png': await sharp({
            create: { width: 400, height: 300, channels: 3, background: { r: 150, g: 110, b: 60 } },
          })
            .png()
            .toBuffer(),
          'veil.png': await sharp({
            create: {
              width: 400,
              height: 300,
              channels: 4,
              background: { r: 150, g: 110, b: 60, alpha: 0.5 },
            },
          })
            .png()
            .toBuffer(),
          'noise.png': await imageOf(picture(400, 300)).png().toBuffer(),
        }),
      ],
      openEngine: quickEngine,
      viewer: await builtViewer(),
      maxWaitMs: 30_000,
    })
  : undefined;
const open = (hash = '', options: Parameters<typeof openView>[2] = {}) =>
  openView(server!.localUrl, `noise${hash}`, options);
/** The view as the address names it. */
const viewOf = (url: string) => new URLSearchParams(new URL(url).hash.slice(1));

describe.skipIf(!there)(`the viewer${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('opens from the gallery and zooms to 2^60 by keys, no tile lost on the way', async () => {
    const page = await openPage({ viewport: SMALL });
    await page.goto(server!.localUrl);
    await page.click('.card:has-text("noise")');
    await page.waitForSelector('.readout');
    const target = NATIVE_ZOOM + 60;
    for (let z = 0; z < 100 && (await page.textContent('.readout-scale')) !== '2⁶⁰×'; z++) {
      await page.keyboard.press('+');
      if (z % 20 === 0) await tilesLoaded(page, 0.4);
    }
    await tilesLoaded(page);
    expect(await page.textContent('.badge')).toBe('synthesized');
    await page.waitForFunction((z) => location.hash.includes(`z=${z}`), target);
    const view = viewOf(page.url());
    // Zooming by keys keeps the middle, exactly.
    expect(Math.abs(Number(view.get('x')) - 200)).toBeLessThan(1e-9);
    // 2^-60 of a pixel has 18 digits.
    expect(view.get('x')!.split('.')[1] ?? '').toSatisfy((digits: string) => digits.length <= 22);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it.each([
    [1440, 900],
    [700, 500],
    [390, 844],
  ])(
    'shows both coordinates, however many digits they have, and leaves the buttons free: %i x %i',
    async (width, height) => {
      const page = await open(`#x=123.4567&y=77.125&z=${NATIVE_ZOOM + 900}`, { viewport: { width, height } });
      await page.waitForFunction(() => document.querySelector('.readout-scale')?.textContent === '2⁹⁰⁰×');
      const box = async (selector: string) => (await page.locator(selector).boundingBox())!;
      const [readout, corner] = [await box('.readout'), await box('.corner')];
      expect(readout.x + readout.width).toBeLessThanOrEqual(corner.x);
      for (const n of [1, 2])
        expect((await box(`.readout-coordinates > :nth-child(${n})`)).width).toBeGreaterThan(30);
      await page.close();
    },
  );

  it('goes on to 2^200 and back home', async () => {
    const page = await open(`#x=123.4567&y=77.125&z=${NATIVE_ZOOM + 200}`);
    await tilesLoaded(page);
    expect(await page.textContent('.readout-scale')).toBe('2²⁰⁰×');
    await page.keyboard.press('0');
    await tilesLoaded(page, 0.5);
    expect(await page.textContent('.badge')).toBe('synthesized');
    await page.keyboard.press('1');
    await tilesLoaded(page, 0.2);
    expect(await page.textContent('.readout-scale')).toBe('1×');
    expect(await page.textContent('.badge')).toBe('native');
    await page.keyboard.press('-');
    expect(await page.textContent('.badge')).toBe('reduced');
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('keeps what lies under the pointer, over many moves of the origin', async () => {
    const page = await open(`#x=200&y=150&z=${NATIVE_ZOOM}`, { viewport: SMALL });
    // 137 pixels right of and 59 below the middle, native: picture position 337.5, 209.5 is the middle of a
    // pixel.
    const wheel = { clientX: SMALL.width / 2 + 137, clientY: SMALL.height / 2 + 59, deltaY: -180 };
    // In the page: a busy browser makes one event of several of a real wheel, and one event is one zoom at
    // most.
    for (let i = 0; i < 9; i++)
      await page.locator('.map').evaluate((map, init) => {
        for (let k = 0; k < 10; k++)
          map.dispatchEvent(new WheelEvent('wheel', { ...init, bubbles: true, cancelable: true }));
      }, wheel);
    await page.waitForFunction(() => /z=91(&|$)/.test(location.hash));
    const view = viewOf(page.url());
    // The pointer's position is x + 137 / 2^90; it was 200 + 137 at the start.
    expect(view.get('x')).toMatch(/^336\.999999999999999999999|^337(\.0{20}|$)/);
    expect(view.get('y')).toMatch(/^208\.999999999999999999999|^209(\.0{20}|$)/);
    await tilesLoaded(page);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('keeps its tiles, each in its place, when the origin moves', async () => {
    // The map counts from zoom 0 up to 32, and from another root above; tiles are those of zoom 32 on both
    // sides.
    const page = await open('#x=200.3&y=150.6&z=31.8');
    await tilesLoaded(page);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    const before = await page.locator('.leaflet-tile-loaded').evaluateAll((tiles) =>
      tiles.map((tile, index) => {
        tile.id = `tile-${index}`;
        const { left, top } = tile.getBoundingClientRect();
        return { id: tile.id, left, top };
      }),
    );
    await page.mouse.move(400, 300);
    await page.mouse.wheel(0, -108);
    await page.waitForFunction(() => location.hash.endsWith('z=32.4'));
    const after = await page.evaluate(
      (ids) =>
        ids.map((id) => {
          const rect = document.getElementById(id)?.getBoundingClientRect();
          return rect && { left: rect.left, top: rect.top };
        }),
      before.map(({ id }) => id),
    );
    const scale = 2 ** 0.6;
    let kept = 0;
    for (const [i, { left, top }] of before.entries()) {
      const expected = { left: 400 + (left - 400) * scale, top: 300 + (top - 300) * scale };
      const outside =
        expected.left < -300 || expected.top < -300 || expected.left > 800 || expected.top > 600;
      if (outside) continue;
      kept++;
      expect(Math.abs(after[i]!.left - expected.left)).toBeLessThan(1.5);
      expect(Math.abs(after[i]!.top - expected.top)).toBeLessThan(1.5);
    }
    expect(kept).toBeGreaterThan(5);
    expect(asked.filter((url) => /\/noise\/\d/.test(url))).toEqual([]);
    await page.close();
  });

  it('zooms in frames where motion is wanted', async () => {
    const page = await open(`#x=200&y=150&z=${NATIVE_ZOOM + 30}`, { reducedMotion: 'no-preference' });
    await tilesLoaded(page);
    await page.evaluate(() => {
      const readout = document.querySelector('.readout-scale')!;
      const seen: string[] = [];
      new MutationObserver(() => seen.push(readout.textContent!)).observe(readout, {
        childList: true,
        characterData: true,
        subtree: true,
      });
      Object.assign(window, { seenScales: seen });
    });
    // A page that gets no processor for a while leaves frames out, so it may take several zooms until some
    // are seen.
    const between = async () => {
      await page.keyboard.press('+');
      await page.waitForFunction(() =>
        /^2[⁰¹²³⁴⁵⁶⁷⁸⁹]+×$/.test(document.querySelector('.readout-scale')!.textContent!),
      );
      const seen = await page.evaluate(() => (window as unknown as { seenScales: string[] }).seenScales);
      // Between those that the keys ask for.
      return seen.filter((scale) => !/^2[⁰¹²³⁴⁵⁶⁷⁸⁹]+×$/.test(scale)).length;
    };
    await expect.poll(between, { interval: 500 }).toBeGreaterThan(0);
    await tilesLoaded(page);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it.each([0, 0.37, 41, 41.5, 60.8])('joins its tiles without a seam at 2^%f', async (exponent) => {
    const page = await open(`#x=201.5&y=151.25&z=${NATIVE_ZOOM + exponent}`, {
      viewport: SMALL,
    });
    await page.addStyleTag({ content: '.map { background: #f0f !important } .backdrop { display: none }' });
    const covered = exponent < 1 ? 0.7 : 1;
    await tilesLoaded(page, covered);
    const tiles = await page
      .locator('.leaflet-tile-loaded')
      .evaluateAll((all) =>
        all
          .map((tile) => tile.getBoundingClientRect())
          .map(({ left, top, right, bottom }) => [left, top, right, bottom]),
      );
    // Every tile that has a neighbour to its right ends where that one begins.
    const joints = tiles.flatMap((tile) =>
      tiles
        .filter(
          (other) =>
            Math.abs(other[1]! - tile[1]!) < 1 && Math.abs(other[0]! - tile[2]!) < 20 && other !== tile,
        )
        .map((other) => Math.abs(other[0]! - tile[2]!)),
    );
    expect(joints.length).toBeGreaterThan(0);
    expect(Math.max(...joints)).toBeLessThan(0.01);
    // Through the middle of the window, where there is picture at every exponent: no background shows.
    const background = async () => {
      const shot = await page.locator('.map').screenshot({ animations: 'disabled' });
      const { data, info } = await sharp(shot).removeAlpha().raw().toBuffer({ resolveWithObject: true });
      let found = 0;
      for (let y = 150; y < 210; y++)
        for (let x = 110; x < 390; x++) {
          const at = (y * info.width + x) * 3;
          if (data[at]! > 200 && data[at + 1]! < 60 && data[at + 2]! > 200) found++;
        }
      return found;
    };
    await expect.poll(background, { timeout: 10_000 }).toBe(0);
    await page.close();
  });

  it.each([1, 1.1, 1.25, 1.5, 2])(
    'draws no line, lighter or darker, between tiles, whatever shines through them: pixel ratio %f',
    async (ratio) => {
      for (const [picture, colors] of [
        ['flat', [150, 110, 60]],
        ['veil', [202, 182, 157]],
      ] as const) {
        const page = await openView(server!.localUrl, `${picture}.png#x=201.5&y=151.25&z=3`, {
          deviceScaleFactor: ratio,
          viewport: SMALL,
        });
        await page.addStyleTag({
          content: '.panel, .backdrop { display: none !important } .map { background: #fff !important }',
        });
        const farthest = async () => {
          const shot = await page.screenshot({
            clip: { x: 20, y: 20, width: SMALL.width - 40, height: SMALL.height - 40 },
          });
          const { channels } = await sharp(shot).removeAlpha().stats();
          return Math.max(
            ...colors.flatMap((value, c) => [value - channels[c]!.min, channels[c]!.max - value]),
          );
        };
        for (const zoom of [3, 3.4, 4.3, 4.81, 45.7]) {
          await page.evaluate((z) => {
            location.hash = `#x=201.5&y=151.25&z=${z}`;
          }, zoom);
          await tilesLoaded(page);
          await expect.poll(farthest, { timeout: 10_000, message: `zoom ${zoom}` }).toBeLessThan(6);
        }
        await page.close();
      }
    },
  );

  it.each([
    [1.37, 2],
    [4.3, 1],
    [4.81, 1.25],
    [45.7, 1.5],
  ])(
    'goes on in a tile where its neighbor ends, on a whole pixel of the screen: zoom %f, pixel ratio %f',
    async (zoom, ratio) => {
      const page = await open(`#x=201.5&y=151.25&z=${zoom}`, { deviceScaleFactor: ratio });
      await tilesLoaded(page, 0.3);
      const edges = () =>
        page.locator('.leaflet-tile-loaded').evaluateAll((tiles) =>
          tiles.map((tile) => {
            const { left, right } = tile.getBoundingClientRect();
            const shown = tile.firstElementChild!.getBoundingClientRect();
            return [left, right, shown.left, shown.right].map((edge) => edge * devicePixelRatio);
          }),
        );
      const check = async () => {
        for (const [left, right, from, to] of await edges()) {
          for (const edge of [left!, right!]) expect(Math.abs(edge - Math.round(edge))).toBeLessThan(0.01);
          expect(Math.abs(from! - left!)).toBeLessThan(0.01);
          expect(Math.abs(to! - right!)).toBeLessThan(0.01);
        }
      };
      expect((await edges()).length).toBeGreaterThan(1);
      await check();
      await page.mouse.move(400, 300);
      await page.mouse.down();
      await page.mouse.move(410, 310);
      await page.mouse.move(431, 287);
      await check();
      await page.mouse.up();
      await page.close();
    },
  );

  it('finds the same place again from a link, to the last digit', async () => {
    const hash = '#x=123.45678901234567890123&y=98.76543210987654321098&z=71';
    const page = await open(hash);
    await tilesLoaded(page);
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction((before) => location.hash !== before, hash);
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction(() => location.hash.startsWith('#x=123.45678901234567890123'));
    const url = page.url();
    await page.reload();
    await tilesLoaded(page);
    await page.waitForTimeout(500);
    expect(page.url()).toBe(url);
    // Another address in the same page.
    await page.evaluate(() => {
      location.hash = '#x=10&y=20&z=3';
    });
    await page.waitForFunction(() => document.querySelector('.readout-scale')!.textContent === '4×');
    await page.close();
  });

  it('goes where a link in the address bar leads, near by too, to a part of a pixel, and keeps its tiles', async () => {
    const page = await open('#x=200&y=150&z=6');
    await tilesLoaded(page);
    // Not where Leaflet counts from.
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(() => !location.hash.startsWith('#x=200&'));
    await page.locator('.liif-tile').evaluateAll((tiles) => {
      for (const tile of tiles) tile.id = 'kept';
    });
    const link = '#x=203.0781&y=151.0156&z=6';
    await page.evaluate((hash) => {
      location.hash = hash;
    }, link);
    // The page writes down where it is when it has been there for a moment.
    await page.waitForTimeout(600);
    expect(await page.evaluate(() => location.hash)).toBe(link);
    expect(await page.locator('#kept').count()).toBeGreaterThan(5);
    await tilesLoaded(page);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('comes back to the picture from a link, and from a zoom, far beside it', async () => {
    const page = await openView(server!.localUrl, 'noise#x=-99999999&y=-9999999999999999999999&z=20', {
      reducedMotion: 'no-preference',
    });
    await tilesLoaded(page, 0.1);
    expect(await page.textContent('.readout-coordinates')).toMatch(/^x 0\.0*y 0\.0*$/);
    await page.evaluate(() => {
      location.hash = '#x=9999999999999999999999&y=1&z=20';
    });
    await page.waitForFunction(() => location.hash === '#x=400&y=1&z=20');
    await page.evaluate(() => {
      location.hash = '#x=200&y=150&z=0';
    });
    await tilesLoaded(page, 0.01);
    // Beside the picture, faster than it comes to rest.
    await page.mouse.move(250, 150);
    for (let i = 0; i < 80; i++) await page.mouse.wheel(0, -400);
    await page.waitForFunction(() => /^#x=0&y=0&z=[78]\d/.test(location.hash));
    await tilesLoaded(page, 0.1);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('fills the view from a server that has time for one tile at a time, without a word of failure', async () => {
    const page = await openPage({ viewport: SMALL });
    let running = 0;
    let refused = 0;
    let told = 0;
    await page.route(/\/noise\/\d+\/\d+\/\d+\.webp/, async (route) => {
      if (running > 0) {
        refused++;
        await route.fulfill({ status: 503, headers: { 'Retry-After': '60' } });
        return;
      }
      running++;
      const answer = await route.fetch();
      told += await page.locator('.liif-tile-failed, .notice-fault').count();
      running--;
      await route.fulfill({ response: answer });
    });
    await page.goto(`${server!.localUrl}view?id=noise#x=200&y=150&z=4`);
    await tilesLoaded(page);
    expect(refused).toBeGreaterThan(1);
    expect(told).toBe(0);
    await page.unrouteAll();
    await page.close();
  });

  it('says so where the server stays busy', async () => {
    const page = await openPage();
    await page.route(/\/noise\/\d+\/\d+\/\d+\.webp/, (route) => route.fulfill({ status: 503 }));
    await page.goto(`${server!.localUrl}view?id=noise#x=200&y=150&z=4`);
    await page.waitForSelector('.notice-fault');
    expect(await page.textContent('.notice-fault')).toMatch(/failed\. The server is busy\./);
    await page.close();
  });

  it('is done when all tiles are there, though some were asked for again while they were on their way', async () => {
    const page = await openPage();
    const asked = new Map<string, number>();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await page.route(/\/noise\/4\//, async (route) => {
      const url = route.request().url();
      const times = (asked.get(url) ?? 0) + 1;
      asked.set(url, times);
      if (times === 1) return route.fulfill({ status: 500 });
      if (times === 2) await held;
      await route.continue();
    });
    await page.goto(`${server!.localUrl}view?id=noise#x=200&y=150&z=4`);
    await expect.poll(() => Math.max(0, ...asked.values()), { timeout: 20_000 }).toBe(2);
    await page.click('.notice-fault button');
    release();
    await tilesLoaded(page);
    await page.waitForTimeout(400);
    expect(await page.locator('.progress').isHidden()).toBe(true);
    await page.close();
  });

  it('says which tiles fail, asks again, and stops asking for tiles that have left', async () => {
    const page = await openPage();
    let failing = true;
    const asked = new Map<string, number[]>();
    await page.route(/\/noise\/\d+\/\d+\/\d+\.webp/, async (route) => {
      const url = route.request().url();
      asked.set(url, [...(asked.get(url) ?? []), performance.now()]);
      if (!failing) return route.fallback();
      await route.fulfill({ status: 500, headers: { 'Retry-After': '2' }, body: 'broken' });
    });
    await page.goto(`${server!.localUrl}view?id=noise#x=200&y=150&z=4`);
    await page.waitForSelector('.notice-fault');
    expect(await page.textContent('.notice-fault')).toMatch(/tiles have failed\. The server answered 500\./);
    expect(await page.textContent('.liif-tile-failed')).toContain('trying again');
    failing = false;
    await tilesLoaded(page);
    await page.waitForSelector('.notice-fault', { state: 'detached' });
    // The server asked for two seconds.
    const pauses = [...asked.values()].filter(({ length }) => length > 1).map(([one, two]) => two! - one!);
    expect(pauses.length).toBeGreaterThan(0);
    expect(Math.min(...pauses)).toBeGreaterThan(1990);
    // By hand, without waiting.
    failing = true;
    await page.keyboard.press('+');
    await page.waitForSelector('.notice-fault');
    failing = false;
    await page.click('.notice-fault button');
    await tilesLoaded(page);
    // Nor when the network is back, though they were given up.
    await page.route(/\/noise\/6\//, (route) => route.fulfill({ status: 404 }));
    await page.keyboard.press('+');
    await page.waitForSelector('.notice-fault');
    await page.unroute(/\/noise\/6\//);
    await page.context().setOffline(true);
    await page.context().setOffline(false);
    await tilesLoaded(page);
    // A tile that never comes is aborted when the view goes elsewhere.
    await page.unroute(/\/noise\/\d+\/\d+\/\d+\.webp/);
    const aborted: string[] = [];
    page.on('requestfailed', (request) => aborted.push(`${request.failure()?.errorText} ${request.url()}`));
    await intercept(page, /\/noise\/8\//, () => undefined);
    const begun = page.waitForRequest(/\/noise\/8\//);
    await page.evaluate(() => {
      location.hash = '#x=100&y=100&z=8';
    });
    await begun;
    await page.evaluate(() => {
      location.hash = '#x=300&y=200&z=3';
    });
    await tilesLoaded(page);
    await expect.poll(() => aborted.length).toBeGreaterThan(0);
    expect(
      aborted.every((failure) => failure.startsWith('net::ERR_ABORTED') && failure.includes('/noise/8/')),
    ).toBe(true);
    await page.close();
  });
});
