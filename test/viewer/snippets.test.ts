import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { directoryOf, encoded, eventually, picture, startServer } from '../server/server-fixture.ts';
import { MISSING, openPage, quickEngine } from './browser.ts';
import { builtLayer } from './leaflet-page.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const clients = join(root, 'test/clients/node_modules');
const missing =
  MISSING ??
  (['openseadragon', 'ol', 'maplibre-gl'].every((name) => existsSync(join(clients, name)))
    ? undefined
    : 'libraries are not installed: npm ci --prefix test/clients');
const there = missing === undefined;

/** The code blocks of the page, by the word after `js`. */
const blocks = new Map(
  [...readFileSync(join(root, 'viewer/README.md'), 'utf8').matchAll(/^```js (\w+)\n(.*?)^```/gms)].map(
    ([, name, code]) => [name!, code!],
  ),
);
const PUBLIC = 'https://pictures.example.org/';
const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
};

const layer = there ? await builtLayer() : '';
const server = there
  ? await startServer({
      roots: [await directoryOf({ 'photo.liif': await encoded(picture(400, 300)) })],
      openEngine: quickEngine,
      publicUrl: PUBLIC,
      maxWaitMs: 30_000,
    })
  : undefined;

/** What stands where on that page's server. */
const folders: Readonly<Record<string, string>> = {
  clients,
  layer,
  openseadragon: join(clients, 'openseadragon/build/openseadragon'),
};

/** A page of somebody else: its libraries, and a block of the README as it stands there. */
async function pageWith(
  block: string,
  head: string,
  options: BrowserContextOptions = {},
): Promise<Page & { readonly faults: string[]; readonly asked: string[] }> {
  const page = await openPage({ reducedMotion: 'no-preference', ...options });
  const asked: string[] = [];
  await page.route(`${PUBLIC}**`, async (route) => {
    const url = route.request().url();
    asked.push(url.slice(PUBLIC.length - 1));
    const answer = await server!.get(url.slice(PUBLIC.length - 1), {
      headers: { host: 'pictures.example.org' },
    });
    await route.fulfill({
      status: answer.status,
      headers: answer.headers as Record<string, string>,
      body: answer.body,
    });
  });
  await page.route('http://page.test/**', async (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname === '/')
      return route.fulfill({
        contentType: 'text/html',
        body: `<!doctype html><style>html,body,#map{height:100%;margin:0}</style>${head}<div id="map"></div>
          <script type="module">${blocks.get(block)}; window.shown = typeof viewer === 'undefined' ? map : viewer;</script>`,
      });
    const [, place, ...rest] = pathname.split('/');
    const file = join(folders[place!] ?? clients, ...rest);
    if (!existsSync(file)) return route.fulfill({ status: 404 });
    return route.fulfill({
      contentType: TYPES[extname(file)] ?? 'application/octet-stream',
      body: await readFile(file),
    });
  });
  await page.goto('http://page.test/');
  return Object.assign(page, { asked });
}

/** `leaflet`: which version, by the module of it. */
const imports = (leaflet: string) => `<link rel="stylesheet" href="/clients/leaflet/dist/leaflet.css">
  <script type="importmap">{"imports":{
    "leaflet":"/clients/${leaflet}","liif/leaflet":"/layer/liif-leaflet.js",
    "maplibre-gl":"/clients/maplibre-gl/dist/maplibre-gl.mjs"}}</script>`;
const IMPORTS = imports('leaflet/dist/leaflet-src.esm.js');
const LEAFLET_2 = 'leaflet-2/dist/leaflet-src.js';

/** Whether the middle of the page shows the picture: not one flat color. */
async function showsPicture(page: Page): Promise<void> {
  const { default: sharp } = await import('sharp');
  const end = performance.now() + 40_000;
  for (;;) {
    const shot = await page.screenshot({ clip: { x: 300, y: 220, width: 200, height: 160 } });
    const { channels } = await sharp(shot).stats();
    if (channels.some(({ stdev }) => stdev > 6)) return;
    if (performance.now() > end) throw new Error('the page does not show the picture');
    await page.waitForTimeout(100);
  }
}

describe.skipIf(!there)(`the README of the viewer${missing ? ` (${missing})` : ''}`, () => {
  it('has a snippet for each library', () => {
    expect([...blocks.keys()]).toEqual(['leaflet', 'deep', 'openseadragon', 'openlayers', 'maplibre']);
  });

  it('shows a picture with Leaflet', async () => {
    const page = await pageWith('leaflet', IMPORTS);
    await showsPicture(page);
    // The whole picture is in view, at the zoom that Leaflet chose.
    const corner = await page.evaluate(() => {
      const map = (window as unknown as { shown: import('leaflet').Map }).shown;
      const { min, max } = map.getPixelBounds() as unknown as { min: { x: number }; max: { x: number } };
      return { zoom: map.getZoom(), width: max.x - min.x };
    });
    // 400 x 300 has its native pixels at zoom 1; 800 x 600 hold it at zoom 2.
    expect(corner).toEqual({ zoom: 2, width: 800 });
    expect(page.asked).toContain('/api/images/photo');
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('says why there are no tiles where the policy of a page forbids blobs', async () => {
    const policy = `<meta http-equiv="Content-Security-Policy" content="img-src 'self'">`;
    const page = await pageWith('leaflet', `${policy}${IMPORTS}`);
    const reason = () =>
      page.evaluate(() => {
        const reasons: unknown[] = [];
        const { shown } = window as unknown as { shown?: import('leaflet').Map };
        shown?.eachLayer((layer) => {
          reasons.push((layer as unknown as { status: { reason?: string } }).status.reason);
        });
        return reasons.join();
      });
    await expect.poll(reason, { timeout: 20_000 }).toContain('blob: in img-src');
    await page.close();
  });

  it('dives to 2^60 with Leaflet and DeepView, by its own controls too', () => divesWith(IMPORTS));

  it.skipIf(!existsSync(join(clients, LEAFLET_2)))('dives to 2^60 with version 2 of Leaflet, too', () =>
    divesWith(imports(LEAFLET_2)),
  );

  async function divesWith(head: string): Promise<void> {
    const page = await pageWith('deep', head);
    await showsPicture(page);
    for (let i = 0; i < 3; i++) {
      await page.click('.leaflet-control-zoom-in');
      await page.waitForTimeout(350);
    }
    await showsPicture(page);
    await page.evaluate(() =>
      (window as unknown as { dive(x: string, y: string): void }).dive('199.5', '149.25'),
    );
    await eventually(() => page.asked.some((url) => url.startsWith('/photo/61/')));
    await page.waitForFunction(() => document.querySelectorAll('.liif-tile > img').length > 4);
    // Leaflet's own wheel, animation and limits hold down there.
    await page.mouse.move(400, 300);
    for (let i = 0; i < 14; i++) {
      await page.mouse.wheel(0, -240);
      await page.waitForTimeout(120);
    }
    await page.waitForFunction(() => document.querySelectorAll('.liif-tile > img').length > 4);
    const deepest = () =>
      Math.max(...page.asked.map((url) => Number(/^\/photo\/(\d+)\//.exec(url)?.[1] ?? 0)));
    await expect.poll(deepest).toBeGreaterThan(64);
    expect(page.faults).toEqual([]);
    await page.close();
  }

  it('zooms past native with OpenSeadragon', async () => {
    const page = await pageWith(
      'openseadragon',
      '<script src="/clients/openseadragon/build/openseadragon/openseadragon.js"></script>',
    );
    await showsPicture(page);
    await page.evaluate(() => {
      const { viewport } = (window as unknown as { shown: { viewport: { zoomTo(zoom: number): void } } })
        .shown;
      viewport.zoomTo(32);
    });
    // The finest regions of the canvas: 512 of its pixels are 8 of the picture.
    const finest = /^\/iiif\/3\/photo@64x\/\d+,\d+,512,512\/512,512\/0\/default\.\w+/;
    await eventually(() => page.asked.some((url) => finest.test(url)));
    await showsPicture(page);
    const issue = await page.evaluate(() => {
      type Tiled = { getIssue(drawer: string): unknown };
      const { shown } = window as unknown as { shown: { world: { getItemAt(at: number): Tiled } } };
      return String(shown.world.getItemAt(0).getIssue('webgl'));
    });
    // What it would say of tiles that WebGL may not read.
    expect(issue).toBe('undefined');
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('goes 2^40 deep with OpenLayers, with the pixels of the screen', async () => {
    const head = '<script src="/clients/ol/dist/ol.js"></script>';
    const page = await pageWith('openlayers', head, { deviceScaleFactor: 2 });
    await showsPicture(page);
    // 400 pixels on 800 of CSS are native at zoom 1.
    expect(page.asked.some((url) => /^\/photo\/2\/\d+\/\d+@2x\.webp/.test(url))).toBe(true);
    await page.evaluate(() => {
      const { shown } = window as unknown as { shown: { getView(): { setZoom(zoom: number): void } } };
      shown.getView().setZoom(40);
    });
    await eventually(() => page.asked.some((url) => /^\/photo\/4[01]\/\d+\/\d+@2x\.webp/.test(url)));
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('shows a picture with MapLibre, as deep as it counts, with the pixels of the screen', async () => {
    const page = await pageWith('maplibre', IMPORTS, { deviceScaleFactor: 2 });
    await showsPicture(page);
    expect(page.asked).toContain('/photo/tilejson.json');
    // At zoom 1 of MapLibre the world, here 512 pixels, has 1024 of CSS.
    expect(page.asked.some((url) => /^\/photo\/3\/\d+\/\d+\.webp/.test(url))).toBe(true);
    await page.evaluate(() => {
      const { shown } = window as unknown as { shown: { jumpTo(view: object): void } };
      shown.jumpTo({ center: [-100, 60], zoom: 24 });
    });
    await eventually(() => page.asked.some((url) => /^\/photo\/24\/\d+\/\d+\.webp/.test(url)));
    await page.waitForFunction(() => (window as unknown as { shown: { loaded(): boolean } }).shown.loaded());
    expect(page.faults).toEqual([]);
    await page.close();
  });
});
