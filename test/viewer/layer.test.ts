import sharp from 'sharp';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { LiifLayerOptions } from '../../viewer/layer/liif-layer.ts';
import { directoryOf, encoded, picture, startServer } from '../server/server-fixture.ts';
import { MISSING, quickEngine } from './browser.ts';
import { builtLayer, type LeafletWindow, openLeafletPage } from './leaflet-page.ts';

const there = MISSING === undefined;
const layer = there ? await builtLayer() : '';
const server = there
  ? await startServer({
      roots: [await directoryOf({ 'photo.liif': await encoded(picture(400, 300)) })],
      openEngine: quickEngine,
      maxWaitMs: 30_000,
    })
  : undefined;
const open = (options: Parameters<typeof openLeafletPage>[2] = {}) =>
  openLeafletPage(server!.localUrl, layer, options);

describe.skipIf(!there)(`a layer of other people's maps${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('looks at no more tiles than the picture has, however far out the map is', async () => {
    const page = await open();
    const looked = await page.evaluate(async () => {
      const { L, liif } = window as unknown as LeafletWindow;
      const layer = await liif.LiifLayer.open('/', 'photo');
      const inner = layer as unknown as { _isValidTile(coords: L.Coords): boolean };
      const isValid = inner._isValidTile.bind(layer);
      let count = 0;
      inner._isValidTile = (coords) => {
        count++;
        return isValid(coords);
      };
      const map = L.map('map', { crs: L.CRS.Simple });
      layer.addTo(map);
      const counts: number[] = [];
      for (const [lat, zoom] of [
        [-100, 1],
        [-100, -8],
        // Nothing of the picture is in view.
        [5000, 1],
        [1e6, -8],
      ] as const) {
        count = 0;
        map.setView([lat, 100], zoom, { animate: false });
        counts.push(count);
      }
      return counts;
    });
    expect(looked[0]).toBeGreaterThan(1);
    for (const count of looked) expect(count).toBeLessThanOrEqual(16);
    await page.close();
  });

  it('comes on a map that was hidden when it was made', async () => {
    const page = await open();
    await page.evaluate(async () => {
      const { L, liif } = window as unknown as LeafletWindow;
      const element = document.getElementById('map')!;
      element.style.display = 'none';
      const layer = await liif.LiifLayer.open('/', 'photo');
      const map = L.map(element, { crs: L.CRS.Simple });
      layer.addTo(map);
      map.fitBounds(layer.boundsIn(L.CRS.Simple));
      element.style.display = '';
      map.invalidateSize();
      map.fitBounds(layer.boundsIn(L.CRS.Simple), { animate: false });
    });
    await page.waitForFunction(() => document.querySelectorAll('.liif-tile img').length === 12);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('tells of tiles that fail, and that all have come or were given up, as other layers do', async () => {
    const page = await open();
    await page.route('**/photo/1/0/0*', (route) => route.fulfill({ status: 404 }));
    await page.evaluate(async () => {
      const { L, liif } = window as unknown as LeafletWindow;
      const layer = await liif.LiifLayer.open('/', 'photo');
      const events: string[] = [];
      for (const name of ['loading', 'load'] as const) layer.on(name, () => events.push(name));
      layer.on('tileload', ({ coords: { x, y, z } }) => events.push(`${z}/${x}/${y}`));
      layer.on('tileerror', ({ coords: { x, y, z }, tile, error }) =>
        events.push(`${z}/${x}/${y} ${error.name}: ${error.message} ${tile.textContent}`),
      );
      Object.assign(window, { layer, events });
      layer.retry();
      const map = L.map('map', { crs: L.CRS.Simple, center: [-75, 100], zoom: 1 });
      layer.addTo(map);
    });
    const told = () =>
      page.evaluate(() => {
        const { layer, events } = window as unknown as {
          layer: import('../../viewer/layer/liif-layer.ts').LiifLayer;
          events: string[];
        };
        return [layer.isLoading(), ...events.splice(0)];
      });
    const eventually = async (count: number) => {
      await page.waitForFunction(
        (least) => (window as unknown as { events: string[] }).events.length >= least,
        count,
      );
      const [isLoading, ...events] = await told();
      return { isLoading, first: events[0], last: events.at(-1), others: events.slice(1, -1).sort() };
    };
    expect(await eventually(6)).toEqual({
      isLoading: false,
      first: 'loading',
      last: 'load',
      others: ['1/0/0 TileError: The picture is no longer there. Tile failed', '1/0/1', '1/1/0', '1/1/1'],
    });
    // What was given up may still come.
    await page.unroute('**/photo/1/0/0*');
    await page.evaluate(() => {
      (window as unknown as { layer: import('../../viewer/layer/liif-layer.ts').LiifLayer }).layer.retry();
    });
    expect(await eventually(3)).toEqual({
      isLoading: false,
      first: 'loading',
      last: 'load',
      others: ['1/0/0'],
    });
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('says at once that a server is busy which asks to wait for long', async () => {
    const page = await open();
    const headers = { 'Retry-After': '3600' };
    await page.route(/\/photo\/\d/, (route) => route.fulfill({ status: 503, headers }));
    const reason = await page.evaluate(async () => {
      const { L, liif } = window as unknown as LeafletWindow;
      const layer = await liif.LiifLayer.open('/', 'photo');
      const failure = new Promise((go) => layer.once('tileerror', go));
      layer.addTo(L.map('map', { crs: L.CRS.Simple, center: [-75, 100], zoom: 1 }));
      await failure;
      return layer.status.reason;
    });
    expect(reason).toBe('The server is busy.');
    await page.close();
  });

  it('does not wait for tiles that went out of view before they came', async () => {
    const page = await open();
    await page.route('**/photo/2/0/*', () => {});
    const isLoading = await page.evaluate(async () => {
      const { L, liif } = window as unknown as LeafletWindow;
      const layer = await liif.LiifLayer.open('/', 'photo', { keepBuffer: 0 });
      const map = L.map('map', { crs: L.CRS.Simple, center: [-75, 100], zoom: 2 });
      layer.addTo(map);
      while (document.querySelectorAll('.leaflet-tile-loaded').length < 6)
        await new Promise((go) => setTimeout(go, 20));
      const before = layer.isLoading();
      map.setView([-75, 300], 2, { animate: false });
      await new Promise((go) => setTimeout(go, 500));
      return [before, layer.isLoading()];
    });
    expect(isLoading).toEqual([true, false]);
    await page.close();
  });

  it('is done when it is removed before its tiles have come, and begins anew when it is added again', async () => {
    const page = await open();
    await page.route(/\/photo\/\d/, () => {});
    const told = await page.evaluate(async () => {
      const { L, liif } = window as unknown as LeafletWindow;
      const layer = await liif.LiifLayer.open('/', 'photo');
      const events: unknown[] = [];
      for (const name of ['loading', 'load'] as const) layer.on(name, () => events.push(name));
      const map = L.map('map', { crs: L.CRS.Simple, center: [-75, 100], zoom: 2 });
      layer.addTo(map).remove();
      events.push(layer.isLoading());
      layer.addTo(map);
      events.push(layer.isLoading());
      map.remove();
      return [...events, layer.isLoading()];
    });
    expect(told).toEqual(['loading', 'load', false, 'loading', true, 'load', false]);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('has no lines between its tiles on pages that are read from the right', async () => {
    const page = await open({ deviceScaleFactor: 1.25 });
    const create = { width: 512, height: 512, channels: 3, background: 'red' } as const;
    const body = await sharp({ create }).png().toBuffer();
    await page.route(/\/photo\/\d/, (route) => route.fulfill({ contentType: 'image/png', body }));
    await page.evaluate(async () => {
      const { L, liif } = window as unknown as LeafletWindow;
      document.documentElement.dir = 'rtl';
      document.getElementById('map')!.style.background = '#0f0';
      const layer = await liif.LiifLayer.open('/', 'photo');
      const map = L.map('map', { crs: L.CRS.Simple, zoomSnap: 0, zoomControl: false, fadeAnimation: false });
      map.attributionControl.remove();
      map.setView([-75, 100.3], 2.6);
      const loaded = new Promise((go) => layer.once('load', go));
      layer.addTo(map);
      await loaded;
    });
    const { data, info } = await sharp(await page.locator('#map').screenshot())
      .raw()
      .toBuffer({ resolveWithObject: true });
    let others = 0;
    for (let at = 0; at < data.length; at += info.channels) if (data[at]! < 250) others++;
    expect(others).toBe(0);
    await page.close();
  });

  it('is refused with words where there is no picture, or no server', async () => {
    const page = await open();
    await page.route('**/api/images/login', (route) =>
      route.fulfill({ contentType: 'text/html', body: '<h1>login</h1>' }),
    );
    await page.route('**/api/images/lost', (route) => route.abort());
    const refused = await page.evaluate(async () => {
      const { liif } = window as unknown as LeafletWindow;
      const tell = (error: Error) => `${error.name}: ${error.message}`;
      const ids = ['', '.', 'login', 'lost', 'none'];
      return Promise.all(ids.map((id) => liif.LiifLayer.open('/', id).then(() => 'a layer', tell)));
    });
    const root = `${server!.localUrl}api/images`;
    const noPicture = (address: string) =>
      `TileError: What answers at ${address} is no picture of a tile server.`;
    expect(refused).toEqual([
      noPicture(`${root}/`),
      noPicture(`${root}/`),
      noPicture(`${root}/login`),
      'TileError: The server cannot be reached.',
      'TileError: The server answered 404 to the picture none.',
    ]);
    await page.close();
  });

  it('goes where a view is set while a zoom is animated, near or deep', async () => {
    const page = await open({ reducedMotion: 'no-preference' });
    const where = await page.evaluate(async () => {
      const { L, liif } = window as unknown as LeafletWindow;
      const pause = (ms: number) => new Promise((go) => setTimeout(go, ms));
      const layer = await liif.LiifLayer.open('/', 'photo');
      const map = L.map('map', { crs: layer.crs });
      layer.addTo(map);
      const view = new liif.DeepView(map, layer);
      view.fitPicture();
      await pause(100);
      const at = { x: liif.parseDecimal('100.5')!, y: liif.parseDecimal('200.5')! };
      const found: string[] = [];
      // Leaflet begins in the next frame. It is not there yet, or on its way.
      for (const wait of [0, 100]) {
        for (const zoom of [61, 3]) {
          map.zoomIn();
          if (wait > 0) await pause(wait);
          view.setView(at, zoom);
          await pause(600);
          const center = [view.center.x, view.center.y].map((value) => liif.formatDecimal(value, 3));
          found.push(`${center.join()} ${view.zoom}`);
        }
      }
      return found;
    });
    const [deep, near] = ['100.500,200.500 61', '100.500,200.500 3'];
    expect(where).toEqual([deep, near, deep, near]);
    await page.close();
  });

  it('takes tiles from elsewhere where the origin has moved beneath them', async () => {
    const page = await open();
    const shown = await page.evaluate(async () => {
      const { L, liif } = window as unknown as LeafletWindow;
      const layer = await liif.LiifLayer.open('/', 'photo');
      const map = L.map('map', { crs: layer.crs });
      layer.addTo(map);
      const view = new liif.DeepView(map, layer);
      view.setView({ x: liif.parseDecimal('200')!, y: liif.parseDecimal('150')! }, 31);
      await new Promise((go) => layer.once('load', go));
      let moved = 0;
      map.on('rebase', () => moved++);
      view.zoomFrame([400, 300], 33);
      map.fire('moveend');
      await new Promise((go) => layer.once('load', go));
      const { source } = layer;
      const distances: number[] = [];
      layer.changeSource({
        width: source.width,
        height: source.height,
        nativeZoom: source.nativeZoom,
        tile: async (...[, , , , , distance]) => {
          distances.push(distance!());
          return createImageBitmap(new ImageData(256, 256));
        },
      });
      while (layer.status.loading > 0) await new Promise((go) => setTimeout(go, 20));
      const taken = document.querySelectorAll('.liif-tile canvas').length;
      return { moved, taken, farthest: Math.max(...distances) };
    });
    expect(shown.moved).toBe(1);
    // 800 x 600 pixels are those of four by three tiles at least, and half of their diagonal is that of two.
    expect(shown.taken).toBeGreaterThanOrEqual(12);
    expect(shown.farthest).toBeLessThan(4);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('shows of the picture what its option bounds leaves, wherever the map counts from', async () => {
    const page = await open();
    const asked: string[] = [];
    page.on('request', (request) =>
      asked.push(...(/(?<=\/photo\/)\d+.*(?=\.webp)/.exec(request.url()) ?? [])),
    );
    await page.evaluate(async () => {
      const { L, liif } = window as unknown as LeafletWindow;
      const { source } = await liif.LiifLayer.open('/', 'photo');
      // The picture's pixels 0 .. 128 by 160 .. 256.
      const bounds = L.latLngBounds([-256, 0], [-160, 128]);
      const layer = new liif.LiifLayer(source, { bounds });
      const map = L.map('map', { crs: layer.crs });
      layer.addTo(map);
      Object.assign(window, { view: new liif.DeepView(map, layer) });
    });
    const at = async (x: string, y: string, z: number) => {
      asked.length = 0;
      await page.evaluate(
        ([x, y, z]) => {
          const { liif, view } = window as unknown as LeafletWindow & {
            view: import('../../viewer/layer/deep-view.ts').DeepView;
          };
          view.setView({ x: liif.parseDecimal(x)!, y: liif.parseDecimal(y)! }, z);
        },
        [x, y, z] as const,
      );
      await page.waitForTimeout(300);
      return asked.sort();
    };
    // Native at zoom 1, where tiles have 256 pixels; at zoom 2 they have 128, at 60 2^59 to the pixel.
    expect(await at('200', '150', 1)).toEqual(['1/0/0']);
    expect(await at('200', '150', 2)).toEqual(['2/0/1']);
    const [column, row] = [2n ** 58n, 2n ** 59n];
    const deep = await at('128', '256', 60);
    expect(deep).toContain(`60/${column - 1n}/${row - 1n}`);
    for (const address of deep) {
      const [, x, y] = address.split('/').map(BigInt);
      expect(x! < column && y! < row).toBe(true);
    }
    expect(page.faults).toEqual([]);
    await page.close();
  });
});

it("takes no size of tiles, which is the server's", () => {
  expectTypeOf<LiifLayerOptions>().toHaveProperty('bounds');
  expectTypeOf<LiifLayerOptions>().not.toHaveProperty('tileSize');
});
