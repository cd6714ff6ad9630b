import { gzipSync } from 'node:zlib';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openImage } from '../../src/decode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import {
  bundledCode,
  bundledPage,
  folderOf,
  ISOLATED,
  launchChromium,
  missing,
  readBytes,
  type StaticHost,
  sha256,
  startStaticHost,
  tilePixels,
} from './chromium.ts';
import { decodedHere, decodeInPage, FILES, openInPage, SIDE, tileInPage, WIDE } from './page-decoding.ts';

const bundle = await bundledPage();
/** Other programs may leave the page a fraction of the processors. */
const PAGE_MS = 120_000;

/** Files that only isolated pages fetch, whose threads share a memory, and those that only others fetch. */
const ONLY_ISOLATED = /wasm-engine|browser-thread|kernels-shared/;
const ONLY_OTHERS = /worker-engine|browser-worker|kernels-(?!shared)/;

it.each([
  ['an isolated page', ONLY_ISOLATED, ONLY_OTHERS],
  ['any other page', ONLY_OTHERS, ONLY_ISOLATED],
])('is less than 60 kB for %s, weights aside: scripts, shaders and kernels together', (_, mine, others) => {
  const names = [...bundle.keys()].filter((name) => !/\.html$/.test(name) && !others.test(name));
  expect(names.filter((name) => mine.test(name))).toHaveLength(3);
  let bytes = 0;
  for (const name of names) bytes += gzipSync(bundle.get(name)!).length;
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThan(60_000);
});

describe.skipIf(missing !== undefined)(`in Chromium${missing ? ` (${missing})` : ''}`, () => {
  let browser: Browser;
  let plain: StaticHost;
  let isolated: StaticHost;
  let engine: Engine;
  /** Of `plain`, with the wasm engine: to open one takes longer than what most tests do with it. */
  let plainPage: Page;
  let plainEngine: Awaited<ReturnType<typeof openInPage>>;
  const expected = new Map<string, string[]>();

  beforeAll(async () => {
    const folders = { '/models': folderOf('src/model'), '/pictures': folderOf('format-spec/vectors/valid') };
    browser = await launchChromium();
    plain = await startStaticHost(bundle, folders);
    isolated = await startStaticHost(bundle, folders, ISOLATED);
    engine = await openEngine(await releasedModel(), { engine: 'wasm' });
    for (const name of FILES) expected.set(name, await decodedHere(engine, name));
    plainPage = await newPage(plain);
    plainEngine = await openThere(plainPage, 'wasm');
  });
  afterAll(async () => {
    await browser?.close();
    await engine?.close();
    plain?.close();
    isolated?.close();
  });

  async function newPage(
    host: StaticHost,
    prepare?: (context: BrowserContext) => Promise<unknown>,
  ): Promise<Page> {
    const context = await browser.newContext();
    await prepare?.(context);
    const page = await context.newPage();
    page.setDefaultTimeout(PAGE_MS);
    page.on('pageerror', (error) => expect.fail(error.message));
    await page.goto(host.url);
    await page.waitForFunction(() => 'sha256' in window);
    return page;
  }

  const openThere = (page: Page, name: Parameters<typeof openInPage>[0]) => page.evaluate(openInPage, name);
  const decodeThere = (page: Page, name: string) => page.evaluate(decodeInPage, [name, SIDE] as const);

  it('decodes by wasm to the bytes of liif decode, in a page that is isolated and in one that is not', async () => {
    const page = await newPage(isolated);
    const isolatedEngine = await openThere(page, 'wasm');
    for (const [of, opened, isolate] of [
      [page, isolatedEngine, true],
      [plainPage, plainEngine, false],
    ] as const) {
      expect(opened).toMatchObject({ name: 'wasm', isolated: isolate, warnings: [] });
      for (const file of FILES) expect(await decodeThere(of, file), file).toEqual(expected.get(file));
    }
    await page.context().close();
  });

  /** The device that an engine opens, in the window of the page. */
  const noteDevice = (context: BrowserContext) =>
    context.addInitScript(() => {
      const { requestDevice } = GPUAdapter.prototype;
      GPUAdapter.prototype.requestDevice = async function (...args) {
        const device = await requestDevice.apply(this, args);
        Object.assign(window, { device });
        return device;
      };
    });

  // Where WebGPU is simulated, kernels take long to compile.
  it.each([
    ['isolated', true],
    ['not isolated', false],
  ] as const)(
    'decodes by WebGPU to the same bytes, and goes on when the device is lost, in a page that is %s',
    async (_title, isolate) => {
      const page = await newPage(isolate ? isolated : plain, noteDevice);
      const opened = await openThere(page, 'webgpu');
      expect(opened).toMatchObject({ name: 'webgpu', isolated: isolate, warnings: [] });
      expect(opened.device).toMatch(/swiftshader/i);
      expect(await decodeThere(page, FILES[0]!)).toEqual(expected.get(FILES[0]!));
      await page.evaluate(() => (window as unknown as { device: GPUDevice }).device.destroy());
      expect(await decodeThere(page, FILES[0]!)).toEqual(expected.get(FILES[0]!));
      await page.context().close();
    },
    180_000,
  );

  it('decodes in separate workers where an isolated page is denied shared memory', async () => {
    const page = await newPage(isolated, (context) =>
      context.addInitScript(() => {
        const { Memory } = WebAssembly;
        WebAssembly.Memory = new Proxy(Memory, {
          construct(target, [descriptor]) {
            if (descriptor.shared) throw new RangeError('denied');
            return new target(descriptor);
          },
        });
      }),
    );
    expect(await openThere(page, 'wasm')).toMatchObject({
      name: 'wasm',
      isolated: true,
      warnings: [],
    });
    expect(await decodeThere(page, FILES[0]!)).toEqual(expected.get(FILES[0]!));
    await page.context().close();
  });

  it('takes wasm, with one warning, where WebGPU finds nothing, and silently on its own choice', async () => {
    const page = await newPage(isolated, (context) =>
      context.addInitScript(() => {
        navigator.gpu.requestAdapter = async () => null;
      }),
    );
    expect(await openThere(page, 'auto')).toMatchObject({ name: 'wasm', warnings: [] });
    expect(await openThere(page, 'webgpu')).toMatchObject({
      name: 'wasm',
      warnings: ['WebGPU finds no graphics adapter; the wasm engine stands in'],
    });
    await page.context().close();
  });

  it('takes wasm on its own choice where the graphics device is slower', async () => {
    const page = await newPage(isolated, noteDevice);
    const chosen = await page.evaluate(async () => {
      const options = { model: 'models/liif-1.safetensors', softwareAdapter: true } as const;
      const { name } = await window.liif.openEngine(options);
      return { name, tried: 'device' in window };
    });
    expect(chosen).toEqual({ name: 'wasm', tried: true });
    await page.context().close();
  }, 180_000);

  it('fetches only the weights that decoding needs, once, and checks them', async () => {
    const weights = 'models/liif-1.safetensors';
    const page = await newPage(isolated);
    isolated.sent.clear();
    await openThere(page, 'wasm');
    const size = (await readBytes('src/model/liif-1.safetensors')).length;
    // The host counts when it has sent.
    await expect.poll(() => isolated.sent.get(weights)).toBeGreaterThan(0.4 * size);
    expect(isolated.sent.get(weights)).toBeLessThan(0.56 * size);
    isolated.sent.clear();
    await page.reload();
    await page.waitForFunction(() => 'sha256' in window);
    await openThere(page, 'wasm');
    expect(isolated.sent.get(weights)).toBeUndefined();
    expect(await decodeThere(page, FILES[0]!)).toEqual(expected.get(FILES[0]!));
    const refused = await page.evaluate(() =>
      window.liif
        .openEngine({ model: 'models/liif-1.safetensors', cache: null, decoderHash: '0'.repeat(64) })
        .catch((error) => `${error.name}: ${error.message}`),
    );
    expect(refused).toMatch(/^FormatError: .*its decoder hash is/);
    await page.context().close();
  });

  it.each([
    ['wasm', 'isolated', 3],
    ['wasm', 'not isolated', 3],
    ['webgpu', 'isolated', 12],
  ] as const)(
    'fetches the code of %s while the weights are on their way, and ends its workers where they do not come, in a page that is %s',
    async (name, isolation, files) => {
      const host = isolation === 'isolated' ? isolated : plain;
      const page = await newPage(host);
      host.sent.clear();
      let release = () => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      await page.route('**/models/*', async (route) => {
        await released;
        await route.fulfill({ status: 404 });
      });
      const opening = page.evaluate(openInPage, name).catch((error) => error.message);
      const others = isolation === 'isolated' ? ONLY_OTHERS : ONLY_ISOLATED;
      const wanted = name === 'wasm' ? /wasm|worker|thread/ : /wasm|worker|thread|wgsl|webgpu/;
      const code = [...bundle.keys()].filter((file) => wanted.test(file) && !others.test(file));
      expect(code).toHaveLength(files);
      await expect.poll(() => code.filter((file) => !host.sent.has(file)), { timeout: 20_000 }).toEqual([]);
      await expect.poll(() => page.workers().length).toBeGreaterThan(0);
      release();
      expect(await opening).toMatch(/liif-1\.safetensors: the server answered 404/);
      await expect.poll(() => page.workers().length).toBe(0);
      await page.context().close();
    },
  );

  it('gives tiles of Display P3 as such, with the very samples', async () => {
    const { data, ...spaces } = await plainPage.evaluate(tileInPage, [WIDE, SIDE] as const);
    expect(spaces).toEqual({ decoded: 'display-p3', shown: 'display-p3' });
    const image = await openImage(await readBytes(`format-spec/vectors/valid/${WIDE}.liif`), { engine });
    expect(data).toEqual([...(await tilePixels(image, 0, 0n, 0n, SIDE))]);
    await image.close();
  });

  it('opens a file that was dropped into the page', async () => {
    const digest = await plainPage.evaluate(async (file) => {
      const { engine: opened } = window as unknown as { engine: Engine };
      const blob = await (await fetch(`pictures/${file}.liif`)).blob();
      const image = await window.liif.open(blob, { engine: opened });
      const whole = await image.render();
      await image.close();
      return window.sha256(whole.data);
    }, FILES[0]!);
    expect(digest).toBe(expected.get(FILES[0]!)![0]);
  });

  it('rejects, and does not throw, where an address is none', async () => {
    const rejected = await plainPage.evaluate(() => {
      const { engine: opened } = window as unknown as { engine: Engine };
      return window.liif.open('http://[', { engine: opened }).catch((error: Error) => error.name);
    });
    expect(rejected).toBe('RequestError');
  });

  const without = (left: RegExp) => new Map([...bundle].filter(([name]) => !left.test(name)));
  const FORBIDDING = { 'Content-Security-Policy': "script-src 'self'" };
  it.each([
    ['kernels are not found', without(/kernels/), {}, '', /kernels[^ ]*\.wasm.*: the answer is 404/],
    ['workers are not found', without(/browser-worker/), {}, '', /script cannot be loaded/],
    ['a policy forbids WebAssembly', bundle, FORBIDDING, '', /Content Security Policy/i],
    ['workers are on another host', bundle, {}, 'http://127.0.0.2:1', /cannot be accessed from origin/],
  ])('says in words that %s', async (_title, files, headers, workers, words) => {
    const host = await startStaticHost(files, { '/models': folderOf('src/model') }, headers);
    const page = await newPage(host, (context) =>
      context.addInitScript((origin) => {
        if (!origin) return;
        window.Worker = new Proxy(Worker, {
          construct: (target, [url, options]) => new target(new URL(new URL(url).pathname, origin), options),
        });
      }, workers),
    );
    const told = await page.evaluate(() =>
      window.liif.openEngine({ model: 'models/liif-1.safetensors', engine: 'wasm' }).catch(String),
    );
    expect(told).toMatch(/^EngineError: /);
    expect(told).toMatch(words);
    await page.context().close();
    host.close();
  });

  it('does what the README shows', async () => {
    const readme = (await readBytes('README.md')).toString();
    const [snippet] = [...readme.matchAll(/^```ts\n(.*?)^```/gms)]
      .map(([, code]) => code!)
      .filter((code) => code.includes('liif/browser'));
    const code = await bundledCode(snippet!, ['raster']);
    const photo = await readBytes('samples/encoded/squirrel.liif');
    const host = await startStaticHost(new Map([...code, ['photo.liif', photo]]), {
      '/model': folderOf('src/model'),
    });
    const page = await browser.newPage();
    page.setDefaultTimeout(PAGE_MS);
    page.on('pageerror', (error) => expect.fail(error.message));
    await page.goto(host.url);
    await page.waitForFunction(() => 'raster' in window);
    const shown = await page.evaluate(async () => {
      const { raster } = window as unknown as { raster: { data: Uint8Array<ArrayBuffer> } };
      const { data } = document.querySelector('canvas')!.getContext('2d')!.getImageData(0, 0, 256, 256);
      const digests = [raster.data, data].map((pixels) => crypto.subtle.digest('SHA-256', pixels));
      return (await Promise.all(digests)).map((digest) => [...new Uint8Array(digest)]);
    });
    const image = await openImage(photo, { engine });
    const region = { x: 100, y: 80, width: 32, height: 24 };
    const { data } = await image.render({ region, width: 640 });
    const wanted = [sha256(data), sha256(await tilePixels(image, 12, 2048n, 1536n, 256))];
    expect(shown.map((digest) => Buffer.from(digest).toString('hex'))).toEqual(wanted);
    await image.close();
    await page.close();
    host.close();
  });
});
