import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AxeResults } from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { parseModel } from '../../src/network/load.ts';
import { afterThisFile } from '../after-file.ts';
import { plainChromium } from '../browser/chromium.ts';
import { isBuilt, root } from '../built.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

/** Why tests in a browser are left out here, if they are. */
export { missing as MISSING } from '../browser/chromium.ts';

let browser: Promise<Browser> | undefined;

/** The browser of this file. */
function openBrowser(): Promise<Browser> {
  if (browser === undefined) {
    const opened = plainChromium();
    browser = opened;
    afterThisFile(async () => {
      browser = undefined;
      await (await opened).close();
    });
  }
  return browser;
}

/** A page of real Chromium; errors of the page fail the test that asks for them. */
export async function openPage(
  options: BrowserContextOptions = {},
): Promise<Page & { readonly faults: string[] }> {
  const context = await (await openBrowser()).newContext({
    viewport: { width: 800, height: 600 },
    reducedMotion: 'reduce',
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    // Chromium reports each failed request as well; the tests look at those themselves.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      faults.push(message.text());
  });
  return Object.assign(page, { faults });
}

/** A small exact engine that is quick enough to look at; the server closes it. */
export function quickEngine(): Promise<Engine> {
  return openEngine(parseModel(tinyModelBytes({ seed: 5 })), { engine: 'wasm', threads: 1 });
}

/** The viewer as `npm run build:viewer` has built it, or, where sources are newer, builds it elsewhere. */
export async function builtViewer(): Promise<string> {
  if (isBuilt(['viewer', 'src'], 'dist/viewer/index.html')) return join(root, 'dist/viewer');
  const directory = await mkdtemp(join(tmpdir(), 'liif-viewer-'));
  afterThisFile(() => rm(directory, { recursive: true, force: true }));
  const { build } = await import('vite');
  await build({
    configFile: fileURLToPath(new URL('../../viewer/vite.config.ts', import.meta.url)),
    logLevel: 'error',
    build: { outDir: directory },
  });
  return directory;
}

/**
 * Answers requests of a page that is there. Chromium tells its loaders of it a moment after `page.route` says
 * so, and what is asked for until then passes.
 */
export async function intercept(page: Page, ...route: Parameters<Page['route']>): Promise<void> {
  await page.route(...route);
  const probe = '**/is-intercepted';
  await page.route(probe, (asked) => asked.fulfill({ status: 204 }));
  await page.waitForFunction(async () => (await fetch('/is-intercepted')).status === 204);
  await page.unroute(probe);
}

/** What the page shows of its tiles. */
export interface TileCount {
  readonly loaded: number;
  readonly waiting: number;
  /** Part of the map's points inside the picture that a loaded tile of the present zoom covers: 0 .. 1. */
  readonly covered: number;
}

export function countTiles(page: Page): Promise<TileCount> {
  return page.evaluate(() => {
    const map = document.querySelector('.map')?.getBoundingClientRect();
    // The page has not drawn itself yet.
    if (map === undefined) return { loaded: 0, waiting: 0, covered: 0 };
    const rects: DOMRect[] = [];
    let waiting = 0;
    for (const tile of document.querySelectorAll('.liif-tile')) {
      const rect = tile.getBoundingClientRect();
      // Tiles of other zooms stay until those of this one have come.
      if (rect.width < 180 || rect.width > 363) continue;
      if (tile.firstElementChild instanceof HTMLImageElement) rects.push(rect);
      else waiting++;
    }
    let covered = 0;
    let points = 0;
    for (let y = map.top + 2; y < map.bottom; y += 23)
      for (let x = map.left + 2; x < map.right; x += 23) {
        points++;
        if (rects.some(({ left, right, top, bottom }) => x >= left && x < right && y >= top && y < bottom))
          covered++;
      }
    return { loaded: rects.length, waiting, covered: covered / points };
  });
}

/** Resolves when no tile of the present zoom is awaited any more. */
export async function tilesLoaded(page: Page, covered = 1): Promise<void> {
  const end = performance.now() + 40_000;
  for (;;) {
    const count = await countTiles(page);
    if (count.waiting === 0 && count.loaded > 0 && count.covered >= covered) return;
    if (performance.now() > end) throw new Error(`tiles did not come: ${JSON.stringify(count)}`);
    await page.waitForTimeout(50);
  }
}

const AXE = readFileSync(
  fileURLToPath(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url)),
  'utf8',
);

/** What axe finds, as one line each; contrast over pictures it cannot judge and leaves out by itself. */
export async function findings(page: Page): Promise<string[]> {
  // The page's own rules forbid foreign scripts; this one comes through the debugger.
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(AXE);
  const { violations } = await page.evaluate(() =>
    (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
  );
  return violations.map(
    ({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ html }) => html).join(' ')}`,
  );
}

/** The page of a picture, `noise#x=200&y=150&z=3` for instance, once it shows something. */
export async function openView(
  root: string,
  picture: string,
  options: BrowserContextOptions = {},
): ReturnType<typeof openPage> {
  const page = await openPage(options);
  await page.goto(`${root}view?id=${picture}`);
  await page.waitForSelector('.readout');
  return page;
}
