import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LiifImage, openImage } from '../../src/decode.ts';
import { encodeImage } from '../../src/encode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { DECODER_HASHES } from '../../src/model/decoder-hashes.ts';
import { modelListText } from '../../src/model/model-list.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import { decoderHashOf } from '../../src/network/decoder-model.ts';
import { loadModel } from '../../src/network/load.ts';
import type { Model } from '../../src/network/model.ts';
import {
  folderOf,
  ISOLATED,
  launchChromium,
  readBytes,
  type StaticHost,
  sha256,
  startStaticHost,
} from '../browser/chromium.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';
import { directoryOf, picture as drawing, startServer, type TestServer } from '../server/server-fixture.ts';
import { builtViewer, findings, MISSING, openPage } from './browser.ts';
import { expectExactTiles, isDecoded, tilesAtRest, tilesInView } from './decoded-tiles.ts';
import { expectNativePixels } from './screen-pixels.ts';

const there = MISSING === undefined;
/** 512 x 512: native at zoom 1. */
const PICTURE = 'squirrel';
/** 60 x 44: soon done where the graphics card is simulated. */
const SMALL = 'released-photograph';
/** Holds several tiles on both axes, and no more of them than are needed. */
const WINDOW = { width: 480, height: 360 };
/** Weights of one's own: a pixel of them takes little, for tests of what is done with pixels. */
const WEIGHTS = tinyModelBytes({ seed: 61 });
/** A picture by these of 500 x 400: native at zoom 1. */
const QUICK = 'quick';

/** Tiles that were decoded in the page. */
const decodedTiles = (page: Page) =>
  tilesAtRest({ decoded: () => page.waitForFunction(isDecoded), tiles: () => page.evaluate(tilesInView) });

/** The picture that `WEIGHTS` decode. */
interface OwnPicture {
  readonly file: Uint8Array;
  readonly model: Model;
  readonly image: LiifImage;
  close(): Promise<void>;
}

async function ownPicture(): Promise<OwnPicture> {
  const model = await loadModel(WEIGHTS);
  const engine = await openEngine(model, { engine: 'wasm' });
  const file = await encodeImage(engine, drawing(500, 400), { quality: 60 });
  const image = await openImage(file, { engine });
  const close = async () => {
    await image.close();
    await engine.close();
  };
  return { file, model, image, close };
}

/** Folders of a host with that picture and, beside the folder of the released weights, its own. */
async function foldersOf({ file, model }: OwnPicture, decoderHash?: string): Promise<Record<string, string>> {
  const listed = {
    name: model.name,
    hash: model.hash,
    file: `${model.hash}.safetensors`,
    decoderHash: decoderHash ?? (await decoderHashOf(WEIGHTS)),
  };
  return {
    '/model/': await directoryOf({ 'models.json': modelListText([listed]), [listed.file]: WEIGHTS }),
    '/own': await directoryOf({ [`${QUICK}.liif`]: file }),
  };
}

describe.skipIf(!there)(`decoding in the viewer${MISSING ? ` (${MISSING})` : ''}`, () => {
  let engine: Engine;
  let image: LiifImage;
  let viewer: string;
  let host: StaticHost;
  const hosts: StaticHost[] = [];
  let bytes: Uint8Array;
  let own: OwnPicture;

  beforeAll(async () => {
    viewer = await builtViewer();
    engine = await openEngine(await releasedModel(), { engine: 'wasm' });
    bytes = await readBytes(`samples/encoded/${PICTURE}.liif`);
    image = await openImage(bytes, { engine });
    own = await ownPicture();
    host = await staticHost({}, await foldersOf(own));
  });
  afterAll(async () => {
    for (const one of hosts) one.close();
    await own?.close();
    await image?.close();
    await engine?.close();
  });

  /** A copy of the viewer, weights and pictures: files, nothing else. */
  async function staticHost(
    options: Parameters<typeof startStaticHost>[2] = {},
    more: Readonly<Record<string, string>> = {},
  ): Promise<StaticHost> {
    const page = new Map([['index.html', await readFile(join(viewer, 'index.html'))]]);
    const pictures = folderOf('samples/encoded');
    const folders = {
      ...more,
      '/model': folderOf('src/model'),
      '/pictures': pictures,
      '/vectors': folderOf('format-spec/vectors/valid'),
      '/': viewer,
    };
    const started = await startStaticHost(page, folders, options);
    hosts.push(started);
    return started;
  }

  async function open(address: string, from: StaticHost = host, viewport = WINDOW) {
    const page = await openPage({ viewport });
    await page.goto(`${from.url}${address}`);
    return page;
  }

  async function expectExact(page: Page, x: number, y: number, z: number, expected = image): Promise<void> {
    await expectExactTiles(await decodedTiles(page), x, y, z, expected);
  }

  /** Drops a file on the page, as it comes from a desk. */
  async function drop(page: Page, name: string, content: Uint8Array): Promise<void> {
    const transfer = await page.evaluateHandle(
      ([file, base64]) => {
        const data = new DataTransfer();
        const array = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        data.items.add(new File([array], file));
        return data;
      },
      [name, Buffer.from(content).toString('base64')] as const,
    );
    await page.dispatchEvent('body', 'dragover', { dataTransfer: transfer });
    await page.dispatchEvent('body', 'drop', { dataTransfer: transfer });
  }

  it.each([
    ['', {}],
    ['with an isolated page', ISOLATED],
  ] as const)(
    'shows a file of a static host %s in the bytes of liif decode, native and past it',
    async (_title, headers) => {
      const page = await open(`?src=pictures/${PICTURE}.liif#x=256&y=192&z=1`, await staticHost(headers));
      await expectExact(page, 256, 192, 1);
      expect(await page.locator('.decoding').innerText()).toMatch(/^Decoded here\s+WebAssembly/);
      for (let i = 0; i < 5; i++) await page.keyboard.press('+');
      await page.waitForFunction(() => /z=6/.test(location.hash));
      await expectExact(page, 256, 192, 6);
      expect(page.faults).toEqual([]);
      await page.close();
    },
  );

  it.each([1.5, 3])(
    'shows native scale in the bytes of liif decode with %s pixels of the screen to one of CSS',
    async (ratio) => {
      const page = await openPage({ deviceScaleFactor: ratio, viewport: { width: 600, height: 450 } });
      await page.goto(`${host.url}?src=own/${QUICK}.liif#x=250&y=200&z=1`);
      await page.waitForFunction(isDecoded);
      await page.keyboard.press('1');
      await page.waitForFunction(() => document.querySelectorAll('.liif-tile').length === 1);
      await page.waitForFunction(isDecoded);
      await expectNativePixels(page, await own.image.render());
      expect(page.faults).toEqual([]);
      await page.close();
    },
  );

  it('decodes by WebGPU to the same bytes where a link asks for it', async () => {
    const browser = await launchChromium();
    const small = await openImage(await readBytes(`format-spec/vectors/valid/${SMALL}.liif`), { engine });
    const page = await browser.newPage({ viewport: { width: 300, height: 200 } });
    // Kernels take long to compile there.
    page.setDefaultTimeout(100_000);
    await page.goto(`${host.url}?src=vectors/${SMALL}.liif#x=32&y=24&z=20&decode=webgpu`);
    await page.locator('.decoding').getByText('WebGPU').waitFor();
    await expectExact(page, 32, 24, 20, small);
    // The link stays one for WebGPU.
    await page.keyboard.press('+');
    await page.waitForFunction(() => /z=21&decode=webgpu$/.test(location.hash));
    await small.close();
    await browser.close();
  }, 120_000);

  it('says so where WebGPU is asked for and there is none', async () => {
    const page = await open(`?src=own/${QUICK}.liif#x=250&y=200&z=1&decode=webgpu`);
    await page.getByText('WebGPU finds no graphics adapter; the wasm engine stands in').waitFor();
    await decodedTiles(page);
    expect(await page.locator('.decoding').innerText()).toContain('WebAssembly');
    await page.close();
  });

  it('fetches weights once and of the file what is shown, and does with a host that has no ranges', async () => {
    const page = await open(`?src=pictures/${PICTURE}.liif#x=256&y=192&z=1`);
    await decodedTiles(page);
    host.sent.clear();
    await page.reload();
    await decodedTiles(page);
    expect(host.sent.get('model/liif-1.safetensors')).toBeUndefined();
    await page.close();

    const plain = await staticHost({ 'Accept-Ranges': 'none' });
    const other = await open(`?src=pictures/${PICTURE}.liif#x=256&y=192&z=1`, plain);
    await expectExact(other, 256, 192, 1);
    await other.close();
  });

  it('decodes what is nearest to the middle first, and drops what is out of view', async () => {
    const page = await openPage();
    // Holds back what the page asks of the decoder, as a slow one would.
    await page.addInitScript(() => {
      const asked: { id: number; z: number; x: number; y: number }[] = [];
      const aborted: number[] = [];
      const { postMessage } = Worker.prototype;
      const control = { asked, aborted, hold: false, give: (count: number) => void count };
      const held: (() => void)[] = [];
      control.give = (count) => {
        for (const give of held.splice(0, count)) give();
      };
      Worker.prototype.postMessage = function (this: Worker, message, ...rest) {
        const send = () => postMessage.apply(this, [message, ...rest] as never);
        if (message.kind === 'abort') aborted.push(message.id);
        if (message.kind !== 'tile' || !control.hold) return send();
        asked.push({ id: message.id, z: message.z, x: Number(message.x), y: Number(message.y) });
        held.push(send);
      };
      Object.assign(window, { decoder: control });
    });
    type Control = {
      readonly asked: readonly { id: number; z: number; x: number; y: number }[];
      readonly aborted: readonly number[];
      hold: boolean;
      give(count: number): void;
    };
    const control = <T>(act: (decoder: Control) => T) =>
      page.evaluate(`(${act})(window.decoder)`) as Promise<T>;
    // 32 times enlarged: a tile is 8 pixels of the picture, the middle of the view a corner of four.
    await page.goto(`${host.url}?src=own/${QUICK}.liif#x=128&y=256&z=6&decode=wasm`);
    await decodedTiles(page);
    // The view touches 4 x 4 tiles; there is a ring around them.
    expect(await page.locator('.liif-tile canvas').count()).toBe(36);
    await control((decoder) => {
      decoder.hold = true;
    });
    await page.locator('.map').focus();
    await page.keyboard.press('Shift+ArrowRight');
    await page.waitForFunction(() => (window as unknown as { decoder: Control }).decoder.asked.length > 0);
    const first = await control((decoder) => decoder.asked.map(({ id }) => id));
    // The view goes on before any has come.
    for (let i = 0; i < 12; i++) await page.keyboard.press('Shift+ArrowRight');
    const place = () => page.evaluate(() => Number(/x=([\d.]+)/.exec(location.hash)![1]));
    const wanted = 128 + (13 * 270) / 32;
    await expect.poll(place).toBeCloseTo(wanted, 1);
    const begun = await control((decoder) => decoder.asked.length);
    expect(await control((decoder) => decoder.aborted)).toEqual(expect.arrayContaining(first));
    while (!(await page.evaluate(isDecoded))) await control((decoder) => decoder.give(1));
    const asked = await control((decoder) => decoder.asked);
    const distances = asked.slice(begun).map(({ x, y }) => Math.hypot(x + 0.5 - wanted / 8, y + 0.5 - 32));
    expect(distances.length).toBeGreaterThan(20);
    expect(distances).toEqual([...distances].sort((one, other) => one - other));
    // Nothing of the long way.
    expect(Math.min(...asked.slice(begun).map(({ x }) => x))).toBeGreaterThan(wanted / 8 - 5);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('has tools that need no server: inspector, value between pixels, saving, navigator', async () => {
    const page = await open(`?src=own/${QUICK}.liif#x=200.5&y=100.5&z=4`, host, {
      width: 800,
      height: 600,
    });
    await decodedTiles(page);
    await page.keyboard.press('i');
    const { data } = await own.image.render({ region: { x: 200, y: 100, width: 1, height: 1 } });
    await page
      .getByText([...data].join(', '), { exact: true })
      .first()
      .waitFor();
    const point = await own.image.render({
      region: { x: 200.375, y: 100.375, width: 0.25, height: 0.25 },
      width: 1,
      height: 1,
    });
    await page
      .getByText([...point.data].join(', '), { exact: true })
      .last()
      .waitFor();
    await page.waitForFunction(
      () => document.querySelector<HTMLImageElement>('.navigator img')!.naturalWidth > 0,
    );
    await page.keyboard.press('s');
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save', exact: true }).click(),
    ]);
    const saved = await sharp(await download.path())
      .raw()
      .toBuffer({ resolveWithObject: true });
    const wanted = await own.image.render({
      region: { x: 200.5 - 50, y: 100.5 - 37.5, width: 100, height: 75 },
      scale: 8,
    });
    expect(saved.info).toMatchObject({ width: 800, height: 600, channels: 4 });
    const rgb = await sharp(saved.data, { raw: saved.info }).removeAlpha().raw().toBuffer();
    expect(sha256(rgb)).toBe(sha256(wanted.data));
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('opens a file that is dropped, or chosen, without sending it anywhere', async () => {
    const page = await open('', host, { width: 800, height: 600 });
    const posts: string[] = [];
    page.on('request', (request) => request.method() !== 'GET' && posts.push(request.url()));
    await page.getByRole('heading', { name: 'Drop a .liif file here' }).waitFor();
    expect(await findings(page)).toEqual([]);
    await drop(page, 'from my desk.liif', own.file);
    await page.getByRole('heading', { name: 'from my desk' }).waitFor();
    await decodedTiles(page);
    await page.keyboard.press('1');
    await page.waitForFunction(() => document.querySelector('.readout-scale')?.textContent === '1×');
    await expectExact(page, 250, 200, 1, own.image);
    expect(await findings(page)).toEqual([]);
    // There is no link to it, and the way back leads to the page it was dropped on.
    expect(await page.getByRole('button', { name: 'Copy link' }).count()).toBe(0);
    await page.getByRole('button', { name: 'All pictures' }).click();
    await page.getByRole('heading', { name: 'Drop a .liif file here' }).waitFor();
    await page.locator('input[type=file]').setInputFiles({
      name: 'chosen.liif',
      mimeType: 'application/octet-stream',
      buffer: Buffer.from(own.file),
    });
    await page.getByRole('heading', { name: 'chosen' }).waitFor();
    await decodedTiles(page);
    await drop(page, 'holiday.jpg', new Uint8Array(10));
    await page.getByText('holiday.jpg is not a .liif file, and no other images are taken here.').waitFor();
    expect(posts).toEqual([]);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('decodes with weights of one’s own that its host lists, and says where they are not listed or not right', async () => {
    const folders = await foldersOf(own);
    const right = await staticHost({}, folders);
    const page = await open(`?src=own/${QUICK}.liif#x=250&y=200&z=1`, right);
    await expectExact(page, 250, 200, 1, own.image);
    expect(right.sent.get('model/liif-1.safetensors')).toBeUndefined();
    expect(page.faults).toEqual([]);
    await page.close();

    const other = await open(`?src=own/${QUICK}.liif`, await staticHost({}, { '/own': folders['/own']! }));
    await other
      .getByRole('alert')
      .getByText(`The file needs model ${own.model.hash}, which this page does not have.`)
      .waitFor();
    const wrong = await staticHost({}, await foldersOf(own, '0'.repeat(64)));
    await other.goto(`${wrong.url}?src=own/${QUICK}.liif`);
    await other
      .getByRole('alert')
      .getByText(/its decoder hash is [0-9a-f]{64}/)
      .waitFor();
    await other.close();
  });

  it('says what is wrong with a file, an address, or missing weights', async () => {
    const page = await open('?src=pictures/none.liif');
    const alert = page.getByRole('alert');
    await alert.getByText('the server answered 404').waitFor();
    await page.goto(`${host.url}?src=javascript:alert(1)`);
    await alert.getByText('is not the address of a file on the web').waitFor();
    await page.goto(`${host.url}?src=assets/../index.html`);
    await alert.getByText('The file is not a .liif picture.').waitFor();
    await drop(page, 'short.liif', bytes.subarray(0, 40));
    await alert.getByText(/at byte/).waitFor();
    expect(await findings(page)).toEqual([]);

    // One chunk is damaged: the page is there, its tile says so, and trying again is offered.
    const damaged = Uint8Array.from(bytes);
    damaged[damaged.length - 100]! ^= 0x55;
    await drop(page, 'damaged.liif', damaged);
    await page.getByText('Tile failed').first().waitFor();
    await page.getByText(/tiles? (has|have) failed\. .*chunk/).waitFor();
    await page.close();

    const bare = await directoryOf({ 'index.html': await readFile(join(viewer, 'index.html')) });
    const without = await staticHost({}, { '/model': bare });
    const other = await openPage();
    await other.route('**/model/*', (route) => route.fulfill({ status: 404 }));
    await other.goto(`${without.url}?src=pictures/${PICTURE}.liif`);
    await other
      .getByRole('alert')
      .getByText(/liif-1\.safetensors: the server answered 404/)
      .waitFor();
    await other.close();
  });
});

describe.skipIf(!there)('the switch "Decode here"', () => {
  let own: OwnPicture;
  beforeAll(async () => {
    own = await ownPicture();
  });
  afterAll(() => own?.close());

  /** A server of a picture by the released weights. */
  const releasedServer = async (options: { maxWaitMs?: number } = {}) =>
    startServer({
      roots: [folderOf(`samples/encoded/${PICTURE}.liif`)],
      openEngine: async () => openEngine(await releasedModel(), { engine: 'wasm' }),
      viewer: await builtViewer(),
      ...options,
    });

  /** A server of the picture by weights of one's own, and of these. */
  async function ownServer(options: { maxWaitMs?: number } = {}): Promise<TestServer> {
    const models = await directoryOf({ 'own.safetensors': WEIGHTS });
    return startServer({
      roots: [await directoryOf({ [`${QUICK}.liif`]: own.file })],
      models: [join(models, 'own.safetensors')],
      viewer: await builtViewer(),
      ...options,
    });
  }

  it('is reached by keys, says what decodes, is kept, and goes back to the server', async () => {
    const server = await releasedServer({ maxWaitMs: 30_000 });
    const page = await openPage();
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await page.goto(`${server.localUrl}view?id=${PICTURE}#x=256&y=192&z=1`);
    await page.waitForFunction(() => document.querySelectorAll('.liif-tile img').length >= 4);
    // Nothing of the decoder has come so far.
    expect(asked.filter((path) => /decoder|worker|wasm|wgsl|model/.test(path))).toEqual([]);
    const toggle = page.getByRole('switch', { name: 'Decode here' });
    expect(await toggle.getAttribute('aria-checked')).toBe('false');
    await page.getByText('By the server').waitFor();
    for (let i = 0; i < 15 && !(await toggle.evaluate((it) => it === document.activeElement)); i++)
      await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Space');
    expect(await toggle.getAttribute('aria-checked')).toBe('true');
    await page.getByText(/^WebAssembly, \d+ threads$/).waitFor();
    await page.waitForFunction(() => document.querySelectorAll('.liif-tile canvas').length >= 4);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await page.waitForFunction(() => /&decode=here$/.test(location.hash));
    expect(await findings(page)).toEqual([]);
    expect(asked.some((path) => path.endsWith('/file'))).toBe(true);
    // Packed, and nothing else of them.
    const [decoderHash] = DECODER_HASHES.values();
    expect(asked.filter((path) => path.includes('/model/'))).toEqual([`/model/${decoderHash}.part`]);

    // The next picture without a word about it in its link is decoded here too.
    await page.goto('about:blank');
    asked.length = 0;
    await page.goto(`${server.localUrl}view?id=${PICTURE}#x=256&y=192&z=2`);
    await page.waitForFunction(() => document.querySelectorAll('.liif-tile canvas').length >= 4);
    await page.keyboard.press('d');
    expect(await toggle.getAttribute('aria-checked')).toBe('false');
    await page.waitForFunction(() => document.querySelectorAll('.liif-tile canvas').length === 0);
    await page.waitForFunction(() => document.querySelectorAll('.liif-tile img').length >= 4);
    expect(asked.some((path) => path.startsWith(`/${PICTURE}/2/`))).toBe(true);
    await page.waitForFunction(() => !/decode/.test(location.hash));
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('decodes with the model of the server that the picture names', async () => {
    const server = await ownServer({ maxWaitMs: 30_000 });
    const page = await openPage();
    await page.goto(`${server.localUrl}view?id=${QUICK}#x=250&y=200&z=1&decode=here`);
    await expectExactTiles(await decodedTiles(page), 250, 200, 1, own.image);
    expect(await page.getByRole('switch').getAttribute('aria-checked')).toBe('true');
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('leaves the server in its place when decoding fails, says so, and does not try the next picture unasked', async () => {
    const server = await releasedServer();
    const page = await openPage();
    // Late enough for the link to say that this browser decodes.
    await page.route('**/model/*', async (route) => {
      await page.waitForFunction(() => /decode=here/.test(location.hash));
      await route.fulfill({ status: 404 });
    });
    await page.goto(`${server.localUrl}view?id=${PICTURE}#x=256&y=192&z=1`);
    await page.waitForSelector('.readout');
    await page.keyboard.press('d');
    // A server that has just started may still turn tiles away, and a notice says that as well.
    const notice = page
      .locator('.notice')
      .filter({ hasText: /This browser cannot decode the picture; the server does\..*404/ });
    await notice.waitFor();
    const toggle = page.getByRole('switch');
    expect(await toggle.getAttribute('aria-checked')).toBe('false');
    await page.reload();
    await page.getByText('By the server').waitFor();
    expect(await notice.count()).toBe(0);
    await page.waitForSelector('.readout');
    await page.keyboard.press('d');
    await notice.waitFor();
    await page.unroute('**/model/*');
    await notice.getByRole('button', { name: 'Try again' }).click();
    await page.waitForFunction(() => document.querySelectorAll('.liif-tile canvas').length >= 4);
    await page.close();
  });

  it('ends a decoder once another has taken its place', async () => {
    const server = await ownServer({ maxWaitMs: 30_000 });
    const page = await openPage({ viewport: WINDOW });
    await page.goto(`${server.localUrl}view?id=${QUICK}#x=250&y=200&z=1&decode=wasm`);
    await decodedTiles(page);
    const workers = page.workers().length;
    for (const decoding of ['here', 'wasm', 'here']) {
      await page.evaluate(async (value) => {
        const followed = new Promise((resolve) => addEventListener('hashchange', resolve, { once: true }));
        location.hash = `#x=250&y=200&z=1&decode=${value}`;
        await followed;
      }, decoding);
      await page.getByText(/^WebAssembly/).waitFor();
      await decodedTiles(page);
    }
    await expect.poll(() => page.workers().length).toBe(workers);
    // It stays for the next picture where nothing takes its place.
    await page.keyboard.press('d');
    await page.getByText('By the server').waitFor();
    expect(page.workers().length).toBe(workers);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('is loaded anew where the decoder has gone with the version that the page is of', async () => {
    const server = await ownServer();
    const page = await openPage();
    await page.route('**/decoder-worker-*', (route) => route.fulfill({ status: 404 }));
    await page.goto(`${server.localUrl}view?id=${QUICK}#x=250&y=200&z=1`);
    await page.waitForSelector('.readout');
    await page.keyboard.press('d');
    const notice = page.locator('.notice', { hasText: 'has another version of the page by now' });
    await notice.waitFor();
    await page.unroute('**/decoder-worker-*');
    await notice.getByRole('button', { name: 'Reload the page' }).click();
    await page.waitForFunction(() => document.querySelectorAll('.liif-tile canvas').length >= 4);
    await page.close();
  });
});
