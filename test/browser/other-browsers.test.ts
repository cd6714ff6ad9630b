import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openImage } from '../../src/decode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { toSrgb } from '../../src/image/color/to-srgb.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import { builtViewer } from '../viewer/browser.ts';
import { expectExactTiles, isDecoded, tilesAtRest, tilesInView } from '../viewer/decoded-tiles.ts';
import {
  bundledPage,
  folderOf,
  ISOLATED,
  readBytes,
  type StaticHost,
  startStaticHost,
  tilePixels,
} from './chromium.ts';
import { OTHER_BROWSERS, type OtherPage, type PageDriver, startPageDriver } from './other-browsers.ts';
import { decodedHere, decodeInPage, FILES, openInPage, SIDE, tileInPage, WIDE } from './page-decoding.ts';

const PAGES = [
  ['any page', {}],
  ['an isolated page', ISOLATED],
] as const;
/** 512 x 512: native at zoom 1. */
const PICTURE = 'squirrel';
/** Near its corner: windows of these browsers hold many tiles, and this way few of them are of the picture. */
const PLACE = 8;

// WebKitGTK 2.50 crashes now and then in its own code, in a worker: each test may start the browser once more.
describe.each(OTHER_BROWSERS)('$name', { retry: 1 }, (browser) => {
  const there = browser.missing === undefined;
  const why = there ? '' : ` (${browser.missing})`;
  let driver: PageDriver;
  let engine: Engine;
  let page: OtherPage | undefined;
  const hosts: StaticHost[] = [];

  beforeAll(async () => {
    if (!there) return;
    driver = await startPageDriver();
    engine = await openEngine(await releasedModel(), { engine: 'wasm' });
  });
  afterEach(async ({ task }) => {
    for (const host of hosts.splice(0)) host.close();
    if (task.result?.state !== 'fail') return;
    await page?.close();
    page = undefined;
  });
  afterAll(async () => {
    await page?.close();
    driver?.close();
    await engine?.close();
  });

  /** Opens a page of a static host, in the browser that the first of them has started. */
  async function open(
    files: ReadonlyMap<string, Uint8Array>,
    folders: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>>,
    address = '',
  ): Promise<OtherPage> {
    const html = driver.withDriver(files.get('index.html')!);
    const host = await startStaticHost(new Map([...files, ['index.html', html]]), folders, headers);
    hosts.push(host);
    const url = `${host.url}${address}`;
    if (page) await page.goTo(url);
    else page = await driver.open(browser, url);
    return page;
  }

  /** A tile of Display P3, of which these pages know nothing. */
  async function expectConverted({ data, decoded }: Awaited<ReturnType<typeof tileInPage>>): Promise<void> {
    expect(decoded).toBe('display-p3');
    const image = await openImage(await readBytes(`format-spec/vectors/valid/${WIDE}.liif`), { engine });
    const stored = await tilePixels(image, 0, 0n, 0n, SIDE);
    await image.close();
    const shape = { width: SIDE, height: SIDE, channels: 4, colorSpace: 'display-p3' } as const;
    const expected = toSrgb({ ...shape, data: stored }).data;
    expect(expected).not.toEqual(stored);
    // Powers differ in their last bits between browsers.
    expect(Math.max(...data.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThanOrEqual(1);
  }

  const tilesOf = ({ until, evaluate }: OtherPage) =>
    tilesAtRest({ decoded: () => until(isDecoded), tiles: () => evaluate(tilesInView) });

  it.skipIf(!there).each(PAGES)(
    `decodes in %s to the bytes of liif decode, and converts Display P3${why}`,
    async (kind, headers) => {
      const folders = {
        '/models': folderOf('src/model'),
        '/pictures': folderOf('format-spec/vectors/valid'),
      };
      const { until, evaluate } = await open(await bundledPage(), folders, headers);
      await until(() => 'sha256' in window);
      const opened = await evaluate(openInPage, 'auto' as const);
      expect(opened).toEqual({ name: 'wasm', isolated: kind === 'an isolated page', warnings: [] });
      for (const file of FILES)
        expect(await evaluate(decodeInPage, [file, SIDE] as const), file).toEqual(
          await decodedHere(engine, file),
        );
      await expectConverted(await evaluate(tileInPage, [WIDE, SIDE] as const));
    },
  );

  it.skipIf(!there).each(PAGES)(
    `shows a file of a static host in the same bytes in %s, native and past it${why}`,
    async (_kind, headers) => {
      const viewer = await builtViewer();
      const image = await openImage(await readBytes(`samples/encoded/${PICTURE}.liif`), { engine });
      const files = new Map([['index.html', await readFile(join(viewer, 'index.html'))]]);
      const folders = {
        '/model': folderOf('src/model'),
        '/pictures': folderOf('samples/encoded'),
        '/': viewer,
      };
      const opened = await open(
        files,
        folders,
        headers,
        `?src=pictures/${PICTURE}.liif#x=${PLACE}&y=${PLACE}&z=1`,
      );
      await expectExactTiles(await tilesOf(opened), PLACE, PLACE, 1, image);
      for (let i = 0; i < 5; i++) await opened.press('+');
      await opened.until(() => location.hash.includes('z=6'));
      await expectExactTiles(await tilesOf(opened), PLACE, PLACE, 6, image);
      await image.close();
    },
  );
});
