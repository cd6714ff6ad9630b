import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterThisFile } from '../after-file.ts';
import { isBuilt, root } from '../built.ts';
import { openPage } from './browser.ts';

/** The layer as `npm run build:viewer` has built it, or, where sources are newer, builds it elsewhere. */
export async function builtLayer(): Promise<string> {
  if (isBuilt(['viewer', 'src'], 'dist/leaflet/liif-leaflet.global.js')) return join(root, 'dist/leaflet');
  const directory = await mkdtemp(join(tmpdir(), 'liif-layer-'));
  afterThisFile(() => rm(directory, { recursive: true, force: true }));
  const { build } = await import('vite');
  await build({
    configFile: join(root, 'viewer/leaflet.config.ts'),
    logLevel: 'error',
    build: { outDir: directory },
  });
  return directory;
}

/** What scripts of such a page see. */
export interface LeafletWindow {
  readonly L: typeof import('leaflet');
  readonly liif: typeof import('../../viewer/leaflet.ts');
}

/**
 * A page beside the server at `address` with an element `map` of 800 x 600, with Leaflet and the layer, built
 * in `layer`, as scripts.
 */
export async function openLeafletPage(
  address: string,
  layer: string,
  options: BrowserContextOptions = {},
): Promise<Page & { readonly faults: string[] }> {
  const page = await openPage(options);
  const leaflet = join(root, 'node_modules/leaflet/dist');
  const files: Readonly<Record<string, readonly [string, string | Buffer]>> = {
    'leaflet.css': ['text/css', await readFile(join(leaflet, 'leaflet.css'))],
    'leaflet.js': ['text/javascript', await readFile(join(leaflet, 'leaflet-src.js'))],
    'layer.js': ['text/javascript', await readFile(join(layer, 'liif-leaflet.global.js'))],
    'page.html': [
      'text/html',
      `<!doctype html><link rel="stylesheet" href="leaflet.css"><style>body{margin:0}</style>
        <div id="map" style="width:800px;height:600px"></div><script src="leaflet.js"></script><script src="layer.js"></script>`,
    ],
  };
  for (const [name, [contentType, body]] of Object.entries(files))
    await page.route(`${address}${name}`, (route) => route.fulfill({ contentType, body }));
  await page.goto(`${address}page.html`);
  return page;
}
