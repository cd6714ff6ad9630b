import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import express from 'express';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeImage } from '../../src/encode.ts';
import { MISSING, openPage, quickEngine } from '../viewer/browser.ts';
import { directoryOf, picture, startServer } from './server-fixture.ts';

const MODULES = fileURLToPath(new URL('../clients/node_modules', import.meta.url));
const missing =
  MISSING ?? (existsSync(MODULES) ? undefined : 'run npm ci --prefix test/clients --ignore-scripts');
const title = missing ? `viewers of other projects (skipped: ${missing})` : 'viewers of other projects';
/** Longest wait for tiles. */
const PATIENCE = 60_000;
const [WIDTH, HEIGHT] = [2200, 1700];

describe.skipIf(missing !== undefined)(title, () => {
  let host: string;
  /** Address of the tile server, without a slash at its end. */
  let server: string;

  beforeAll(async () => {
    const engine = await quickEngine();
    const photo = await encodeImage(engine, picture(WIDTH, HEIGHT), { quality: 70 });
    await engine.close();
    const tiles = await startServer({
      roots: [await directoryOf({ 'photo.liif': photo })],
      openEngine: quickEngine,
      // These viewers do not ask again.
      maxTurnMs: PATIENCE,
      maxWaitMs: PATIENCE,
      timeoutMs: PATIENCE,
    });
    server = new URL(tiles.localUrl).origin;
    // Another origin than that of the tiles, as on other people's pages.
    const app = express();
    app.use('/modules', express.static(MODULES));
    app.get('/:page', (request, response) => {
      response.type('html').send(PAGES[request.params.page as keyof typeof PAGES](server));
    });
    const pages = await new Promise<ReturnType<typeof app.listen>>((resolve) => {
      const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
    });
    host = `http://127.0.0.1:${(pages.address() as { port: number }).port}`;
    afterAll(() => {
      pages.closeAllConnections();
      pages.close();
    });
  });

  it.each(['openseadragon', 'leaflet-iiif', 'openlayers', 'mirador', 'universalviewer'] as const)(
    '%s shows the picture and pans',
    async (client) => {
      const { page, images, failed } = await opened(client);
      await settled(page, images);
      expect(images.length).toBeGreaterThan(0);
      await expect.poll(async () => (failed.length > 0 ? failed : emptyShare(page))).toBeLessThan(0.9);
      const before = images.length;
      // Zoomed in, then dragged: both ask for tiles that were not on the screen.
      await page.mouse.move(400, 300);
      for (let i = 0; i < 4; i++) {
        await page.mouse.wheel(0, -240);
        await page.waitForTimeout(250);
      }
      await page.mouse.down();
      await page.mouse.move(150, 150, { steps: 8 });
      await page.mouse.up();
      await settled(page, images, before + 1);
      expect(images.length).toBeGreaterThan(before);
      expect(failed).toEqual([]);
      await page.context().close();
    },
    2 * PATIENCE,
  );

  it.each(['openseadragon', 'openlayers'] as const)(
    '%s goes 64 times past native on a virtual canvas',
    async (client) => {
      const { page, images, failed } = await opened(`${client}-64x`);
      await page.waitForFunction('window.zoomedIn === true', undefined, { timeout: PATIENCE });
      // Tiles of the canvas at its own resolution: so many of its pixels as the tile has.
      const native = () =>
        images.filter((url) => {
          const region = /\/\d+,\d+,(\d+),\d+\/(\d+),/.exec(decodeURIComponent(url));
          return region !== null && region[1] === region[2];
        });
      await expect.poll(() => native().length, { timeout: PATIENCE }).toBeGreaterThan(0);
      await settled(page, images);
      expect(images.some((url) => url.includes('@64x'))).toBe(true);
      await expect.poll(() => emptyShare(page)).toBeLessThan(0.5);
      expect(failed).toEqual([]);
      await page.context().close();
    },
    2 * PATIENCE,
  );

  async function opened(name: keyof typeof PAGES) {
    const page = await openPage();
    const images: string[] = [];
    const failed: string[] = [];
    page.on('response', (response) => {
      if (!response.url().startsWith(server)) return;
      if (response.status() >= 400) failed.push(`${response.status()} ${response.url()}`);
      else if (response.headers()['content-type']?.startsWith('image/')) images.push(response.url());
    });
    await page.goto(`${host}/${name}`);
    return { page, images, failed };
  }
});

/** Waits until at least so many images have come, and then none for a while. */
async function settled(page: Page, images: readonly string[], least = 1): Promise<void> {
  const end = performance.now() + PATIENCE;
  let last = -1;
  for (let quiet = 0; quiet < 8; ) {
    await page.waitForTimeout(150);
    quiet = images.length === last && images.length >= least ? quiet + 1 : 0;
    last = images.length;
    if (performance.now() > end) throw new Error(`only ${images.length} images came`);
  }
}

/** Part of the screen that is of the color of most of it: near 1 where nothing was drawn. */
async function emptyShare(page: Page): Promise<number> {
  const { default: sharp } = await import('sharp');
  const { data } = await sharp(await page.screenshot())
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const counts = new Map<number, number>();
  for (let i = 0; i < data.length; i += 3) {
    const color = (data[i]! << 16) | (data[i + 1]! << 8) | data[i + 2]!;
    counts.set(color, (counts.get(color) ?? 0) + 1);
  }
  let most = 0;
  for (const count of counts.values()) most = Math.max(most, count);
  return most / (data.length / 3);
}

const page = (
  head: string,
  script: string,
) => `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<style>html,body,#view{margin:0;width:100%;height:100%;background:#fff}</style>${head}
<div id="view"></div><script>${script}</script>`;
const script = (path: string) => `<script src="/modules/${path}"></script>`;
const style = (path: string) => `<link rel="stylesheet" href="/modules/${path}">`;

const OPENSEADRAGON = script('openseadragon/build/openseadragon/openseadragon.min.js');
const OPENLAYERS = style('ol/ol.css') + script('ol/dist/ol.js');

const openlayers = (server: string, id: string, zoom: string) => `
  fetch('${server}/iiif/3/${id}/info.json').then((response) => response.json()).then((info) => {
    const options = new ol.format.IIIFInfo(info).getTileSourceOptions();
    options.zDirection = -1;
    const source = new ol.source.IIIF(options);
    const extent = source.getTileGrid().getExtent();
    const map = new ol.Map({ target: 'view', layers: [new ol.layer.Tile({ source })] });
    const view = new ol.View({ projection: new ol.proj.Projection({ code: 'image', units: 'pixels', extent }), constrainOnlyCenter: true, maxZoom: 40, showFullExtent: true });
    map.setView(view);
    view.fit(extent);
    ${zoom}
  });`;

/** Each as its own documentation has it. */
const PAGES = {
  openseadragon: (server: string) =>
    page(
      OPENSEADRAGON,
      `OpenSeadragon({ id: 'view', showNavigationControl: false, tileSources: '${server}/iiif/3/photo/info.json' });`,
    ),
  'openseadragon-64x': (server: string) =>
    page(
      OPENSEADRAGON,
      `const viewer = OpenSeadragon({ id: 'view', showNavigationControl: false, maxZoomPixelRatio: 2, tileSources: '${server}/iiif/3/photo@64x/info.json' });
       viewer.addHandler('open', () => {
         viewer.viewport.zoomTo(viewer.viewport.imageToViewportZoom(1), undefined, true);
         window.zoomedIn = true;
       });`,
    ),
  'leaflet-iiif': (server: string) =>
    page(
      style('leaflet/dist/leaflet.css') +
        script('leaflet/dist/leaflet.js') +
        script('leaflet-iiif/leaflet-iiif.js'),
      `const map = L.map('view', { center: [0, 0], crs: L.CRS.Simple, zoom: 0 });
       L.tileLayer.iiif('${server}/iiif/3/photo/info.json').addTo(map);`,
    ),
  openlayers: (server: string) => page(OPENLAYERS, openlayers(server, 'photo', '')),
  'openlayers-64x': (server: string) =>
    page(OPENLAYERS, openlayers(server, 'photo@64x', 'view.setResolution(1); window.zoomedIn = true;')),
  mirador: (server: string) =>
    page(
      script('mirador/dist/mirador.min.js'),
      `Mirador.viewer({ id: 'view', windows: [{ manifestId: '${server}/iiif/3/photo/manifest.json' }] });`,
    ),
  universalviewer: (server: string) =>
    page(
      style('universalviewer/dist/uv.css') + script('universalviewer/dist/umd/UV.js'),
      `const uv = UV.init('view', { manifest: '${server}/iiif/3/photo/manifest.json', embedded: true });
       document.getElementById('view').style.cssText = 'width:800px;height:600px';
       uv.resize();`,
    ),
};
