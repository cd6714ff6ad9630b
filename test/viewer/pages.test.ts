import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import { folderOf, readBytes, type StaticHost, startStaticHost } from '../browser/chromium.ts';
import { directoryOf, encoded, eventually, imageOf, picture, startServer } from '../server/server-fixture.ts';
import { builtViewer, findings, intercept, MISSING, openPage, quickEngine } from './browser.ts';

const there = MISSING === undefined;
const viewer = there ? await builtViewer() : '';
const png = await imageOf(picture(60, 40)).png().toBuffer();
const liif = await readBytes('format-spec/vectors/valid/released-photograph.liif');
const directory = await directoryOf({
  'noise.liif': await encoded(picture(400, 300)),
  'other.liif': await encoded(picture(40, 30)),
  'plain.png': png,
  'pair.liif': await encoded(picture(60, 40)),
  'pair.png': png,
});
const server = there
  ? await startServer({
      roots: [directory],
      openEngine: quickEngine,
      viewer,
      allowUpload: true,
      maxWaitMs: 30_000,
    })
  : undefined;

const hosts: StaticHost[] = [];
afterAll(() => {
  for (const host of hosts) host.close();
});

/** Drags a file over the page, which hears of it many times. */
function dragOver(page: Page, times: number): Promise<void> {
  return page.evaluate((count) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(['file'], 'a.png'));
    for (let i = 0; i < count; i++)
      document.body.dispatchEvent(new DragEvent('dragover', { dataTransfer, bubbles: true }));
  }, times);
}

/** The page that `liif viewer` writes. */
const ON_FILES = 'files/index.html';

/** A host of plain files; `page`: that of the viewer which it has. */
async function staticHost(page = 'index.html'): Promise<StaticHost> {
  const index = await readFile(join(viewer, page));
  const host = await startStaticHost(new Map([['index.html', index]]), {
    '/model': folderOf('src/model'),
    '/pictures': await directoryOf({ 'pictures.json': '{}', 'photo.jpg': png, 'photo.liif': liif }),
    '/': viewer,
  });
  hosts.push(host);
  return host;
}

async function open(address = '', root = server!.localUrl) {
  const page = await openPage();
  await page.goto(`${root}${address}`);
  await page.waitForSelector(address.startsWith('view') ? '.readout' : '.card, .start, [role=alert]');
  return page;
}

/** Drops files on the page, as they come from a desk. */
async function drop(page: Page, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  const dataTransfer = await page.evaluateHandle(
    (entries) => {
      const data = new DataTransfer();
      for (const [name, base64] of entries)
        data.items.add(
          new File([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], name),
        );
      return data;
    },
    Object.entries(files).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')] as const),
  );
  await page.dispatchEvent('body', 'drop', { dataTransfer });
}

const headed = (page: Page, name: string) => page.getByRole('heading', { name, exact: true }).waitFor();

describe.skipIf(!there)(`from page to page${MISSING ? ` (${MISSING})` : ''}`, () => {
  it('"All pictures" leads to all pictures, whatever was shown before', async () => {
    const page = await open('', (await staticHost(ON_FILES)).url);
    await drop(page, { 'plan.liif': liif });
    await headed(page, 'plan');
    await drop(page, { 'heart.liif': liif });
    await headed(page, 'heart');
    await page.getByRole('button', { name: 'All pictures' }).click();
    await page.waitForSelector('.start');
    // Where all pictures are the page before, it is gone back to.
    await drop(page, { 'plan.liif': liif });
    await headed(page, 'plan');
    const entries = await page.evaluate(() => history.length);
    await page.getByRole('button', { name: 'All pictures' }).click();
    await page.waitForSelector('.start');
    expect(await page.evaluate(() => history.length)).toBe(entries);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('says that a picture is on its way while nothing of it is there', async () => {
    const page = await open();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await intercept(page, /\/api\/images\/noise$/, async (route) => {
      await held;
      await route.continue();
    });
    await page.locator('.card', { hasText: 'noise' }).click();
    await headed(page, 'noise');
    await page.getByText('Opening').waitFor();
    expect(await page.title()).toBe('noise – liif');
    release();
    await page.waitForSelector('.readout');
    expect(await page.getByText('Opening').count()).toBe(0);
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('is left in the midst of a zoom without a fault, and writes no link of it afterwards', async () => {
    const page = await openPage({ reducedMotion: 'no-preference' });
    await page.goto(server!.localUrl);
    await page.locator('.card', { hasText: 'noise' }).click();
    await page.waitForSelector('.readout');
    await page.keyboard.press('+');
    await page.goBack();
    await page.waitForSelector('.card');
    // Links are written a moment after a view has come to rest.
    await page.waitForTimeout(500);
    expect(await page.evaluate(() => location.hash)).toBe('');
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('is left while a picture that was pushed aside comes back, without a fault', async () => {
    const page = await openPage({ reducedMotion: 'no-preference' });
    await page.goto(`${server!.localUrl}view?id=noise`);
    await page.waitForSelector('.readout');
    await page.evaluate(async () => {
      const followed = new Promise((resolve) => addEventListener('hashchange', resolve, { once: true }));
      location.hash = '#x=-50&y=150&z=2';
      await followed;
      document.querySelector<HTMLElement>('[aria-label="All pictures"]')!.click();
      // Frames of a motion that went on would be the map's last.
      for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
    });
    await page.waitForSelector('.card');
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('opens one of several files, says which are not open, and tells of those that it does not take', async () => {
    const page = await open('', (await staticHost()).url);
    await drop(page, { 'a.jpg': png, 'one.liif': liif, 'two.liif': liif, 'three.liif': liif });
    await headed(page, 'one');
    await page.getByText('a.jpg is not a .liif file, and no other images are taken here.').waitFor();
    await page.getByText('2 files are not open yet.').waitFor();
    await page.getByRole('button', { name: 'Open two.liif' }).click();
    await headed(page, 'two');
    await page.getByText('three.liif is not open yet.').waitFor();
    await page.getByRole('button', { name: 'Open it' }).click();
    await headed(page, 'three');
    await page.waitForSelector('.readout');
    // There is no link to a file of one's own.
    await page.keyboard.press('l');
    await page.keyboard.press('t');
    await page.getByText('Light', { exact: true }).waitFor();
    expect(await page.locator('.notice').allTextContents()).not.toContain('Link copied.');
    await page.close();
  });

  it('says of a broken file only that it is broken', async () => {
    const page = await open();
    await drop(page, { 'bad.liif': liif.subarray(0, 40) });
    await page.getByText('The file is damaged.').waitFor();
    expect(await page.title()).toBe('This picture cannot be shown – liif');
    await page.waitForTimeout(500);
    expect(await page.locator('.notice').count()).toBe(0);
    // One that is not broken is told to have stayed here.
    await drop(page, { 'good.liif': liif });
    await page.getByText('good.liif is decoded here; nothing was sent.').waitFor();
    await page.close();
  });

  it('says after a reload that a file of the visitor is no longer open, and opens it again', async () => {
    const page = await open('', (await staticHost()).url);
    await drop(page, { 'mine.liif': liif });
    await headed(page, 'mine');
    await page.reload();
    await headed(page, 'mine.liif is no longer open');
    // The entry names that file, and none that comes later.
    await drop(page, { 'later.liif': liif });
    await headed(page, 'later');
    await page.goBack();
    await headed(page, 'mine.liif is no longer open');
    await page.close();
  });

  it('says in plain words what is wrong, what it comes from, and tries again where that can help', async () => {
    const page = await open();
    await intercept(page, /api\/images\/noise/, (route) => route.abort());
    await page.locator('.card').first().click();
    const alert = page.getByRole('alert');
    await alert.getByText('The server cannot be reached.').waitFor();
    await page.unroute(/api\/images\/noise/);
    const login = { contentType: 'text/html', body: '<h1>login</h1>' };
    await intercept(page, /api\/images\/noise/, (route) => route.fulfill(login));
    await page.getByRole('button', { name: 'Try again' }).click();
    await alert.getByText('The answer is not that of a tile server. You may have to log in again.').waitFor();
    await page.unroute(/api\/images\/noise/);
    await page.getByRole('button', { name: 'Try again' }).click();
    await headed(page, 'noise');
    const host = await staticHost();
    await page.goto(`${server!.localUrl}?src=${host.url}pictures/photo.jpg`);
    await alert
      .getByText(/^The file cannot be fetched: .* does not let other pages read its files/)
      .waitFor();
    await page.goto(`${host.url}?src=pictures/photo.jpg`);
    await alert.getByText('The file is not a .liif picture.').waitFor();
    await alert.getByText('prefix at byte 0: not a .liif file').waitFor();
    expect(await page.getByRole('button', { name: 'Try again' }).count()).toBe(0);
    await page.close();
  });

  it.each([
    ['', '.card', [/\/api\/images\?offset=0&limit=120$/]],
    [
      'view?id=pair',
      '.readout',
      [/\/api\/images\/pair$/, /\/api\/images\/pair\.png$/, /picture-parts-.*\.js$/],
    ],
  ] as const)(
    'asks for what "/%s" needs while its script is on the way, and only once',
    async (address, shown, wanted) => {
      const page = await openPage();
      const asked: string[] = [];
      page.on('request', (request) => asked.push(request.url()));
      let release = () => {};
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      await page.route(/\/index-.*\.js/, async (route) => {
        await held;
        await route.continue();
      });
      await page.goto(`${server!.localUrl}${address}`, { waitUntil: 'commit' });
      const times = () => wanted.map((part) => asked.filter((url) => part.test(url)).length);
      await expect.poll(times).toEqual(wanted.map(() => 1));
      release();
      await page.waitForSelector(shown);
      expect(times()).toEqual(wanted.map(() => 1));
      await page.close();
    },
  );

  it('leads back to all pictures while a host does not answer', async () => {
    const { url } = await staticHost(ON_FILES);
    const page = await openPage();
    await page.route('**/never.liif', () => {});
    await page.goto(`${url}?src=never.liif`);
    await page.getByText('Opening').waitFor();
    const link = page.getByRole('link', { name: 'All pictures' });
    // For new tabs, in whatever folder the viewer lies.
    expect(await link.getAttribute('href')).toBe('./');
    await link.click();
    await page.waitForSelector('.start');
    expect(await page.title()).toBe('Pictures – liif');
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('is loaded anew where its parts have gone with the version that it is of', async () => {
    const { url } = await staticHost(ON_FILES);
    const page = await openPage();
    await page.route(/picture-parts/, (route) => route.fulfill({ status: 404 }));
    await page.goto(`${url}?src=pictures/photo.liif`);
    await page.getByRole('alert').getByText('has another version of the page by now').waitFor();
    await page.evaluate(() => Object.assign(window, { old: true }));
    await page.unroute(/picture-parts/);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.waitForFunction(() => !('old' in window));
    await headed(page, 'photo');
    await page.waitForSelector('.readout');
    await page.close();
  });

  it('is loaded anew where a part of the decoder has gone, or the weights are of another version', async () => {
    const { url } = await staticHost(ON_FILES);
    const page = await openPage();
    const alert = page.getByRole('alert');
    await page.route(/safetensors/, async (route) => {
      const response = await route.fetch();
      const body = await response.body();
      body[body.length - 1]! ^= 1;
      await route.fulfill({ response, body });
    });
    await page.goto(`${url}?src=pictures/photo.liif`);
    await alert.getByText('The weights of the decoder are damaged, or of another version').waitFor();
    await page.unroute(/safetensors/);
    await intercept(page, /kernels/, (route) => route.fulfill({ status: 404 }));
    await page.getByRole('button', { name: 'Try again' }).click();
    await alert.getByText('has another version of the page by now').waitFor();
    await page.unroute(/kernels/);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.waitForSelector('.readout');
    await page.close();
  });

  it('offers to be loaded anew where nothing has come for long', async () => {
    const { url } = await staticHost(ON_FILES);
    const page = await openPage();
    await page.clock.install();
    // Whatever waits for the kernels waits with the page.
    await page.route(/kernels/, () => {});
    await page.goto(`${url}?src=pictures/photo.liif`);
    await page.getByText('Starting the decoder').waitFor();
    const anew = page.getByRole('button', { name: 'Reload the page' });
    expect(await anew.count()).toBe(0);
    await page.clock.fastForward(21_000);
    await anew.waitFor();
    expect(await findings(page)).toEqual([]);
    await page.unroute(/kernels/);
    await anew.click();
    await page.waitForSelector('.readout');
    await page.close();
  });

  it('says in words that its script does not run: missing on the host, or opened from a folder', async () => {
    const { url } = await staticHost(ON_FILES);
    const page = await openPage();
    const words = page.getByRole('heading', { name: 'The viewer has not started' });
    await page.route(/\/index-.*\.js/, (route) => route.fulfill({ status: 404 }));
    await page.goto(url);
    await words.waitFor();
    expect(await findings(page)).toEqual([]);
    await page.goto(`file://${viewer}/index.html`);
    await words.waitFor();
    await page.getByText('npx http-server').waitFor();
    await page.unroute(/\/index-.*\.js/);
    await page.goto(url);
    await page.waitForSelector('.start');
    expect(await words.count()).toBe(0);
    await page.close();
  });

  it('is not enlarged itself by a pinch over its panels', async () => {
    const page = await open('view?id=noise');
    for (const panel of ['.title', '.tools', '.readout', '.zoom', '.navigator']) {
      const { prevented, touch } = await page.locator(`.stage ${panel}`).evaluate((element) => {
        const wheel = new WheelEvent('wheel', { ctrlKey: true, bubbles: true, cancelable: true, deltaY: -5 });
        element.dispatchEvent(wheel);
        return { prevented: wheel.defaultPrevented, touch: getComputedStyle(element).touchAction };
      });
      expect([panel, prevented, /pinch|auto|manipulation/.test(touch)]).toEqual([panel, true, false]);
    }
    await page.close();
  });

  it('leaves the keys to the page around it until somebody turns to it', async () => {
    const page = await openPage();
    await page.route('**/embed.html', (route) =>
      route.fulfill({ contentType: 'text/html', body: '<input autofocus><p>Around it<p>' }),
    );
    await page.goto(`${server!.localUrl}embed.html`);
    await page.locator('input').click();
    await page.evaluate(() => {
      const frame = document.createElement('iframe');
      frame.src = 'view?id=noise';
      frame.style.cssText = 'width:700px;height:400px';
      document.body.append(frame);
    });
    const frame = page.frameLocator('iframe');
    await frame.locator('.readout').waitFor();
    await page.keyboard.type('cis');
    expect(await page.locator('input').inputValue()).toBe('cis');
    const inspect = frame.getByRole('button', { name: 'Inspect pixels' });
    expect(await inspect.getAttribute('aria-pressed')).toBe('false');
    await frame.locator('.map').click();
    await page.keyboard.type('i');
    expect(await inspect.getAttribute('aria-pressed')).toBe('true');
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('asks a host of files for nothing that it does not have', async () => {
    const page = await openPage();
    const missing: string[] = [];
    page.on('response', (response) => response.status() >= 400 && missing.push(response.url()));
    const host = await staticHost(ON_FILES);
    await page.goto(host.url);
    await page.waitForSelector('.start');
    await page.waitForLoadState('networkidle');
    expect(missing).toEqual([`${host.url}pictures.json`]);
    await page.close();
  });

  it('asks once while a file is dragged whether it may be sent, says that nobody answers, and asks again', async () => {
    const page = await open('view?id=noise');
    let asked = 0;
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await intercept(page, '**/api/images?offset*', async (route) => {
      asked++;
      await held;
      await route.abort();
    });
    await dragOver(page, 20);
    await drop(page, { 'late.png': png });
    release();
    await page.getByText('late.png was not sent. The server cannot be reached.').waitFor();
    expect(asked).toBe(1);
    await page.unroute('**/api/images?offset*');
    const words = async () => {
      await dragOver(page, 1);
      return page.locator('.drop-veil').textContent();
    };
    await expect.poll(words).toBe('Drop to add; a .liif is opened here');
    await drop(page, { 'late.png': png });
    await headed(page, 'late');
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('sends a file whose name has a letter of two units where names end', async () => {
    const page = await open();
    await drop(page, { [`${'a'.repeat(89)}\u{20bb7}.png`]: png });
    await headed(page, `${'a'.repeat(89)}\u{20bb7}`);
    await page.close();
  });

  it('sends a file whose name has more bytes than the server takes', async () => {
    const page = await open();
    await drop(page, { [`${'長'.repeat(80)}.png`]: png });
    await headed(page, '長'.repeat(66));
    await page.close();
  });

  it('goes on to show a file of the visitor when another view is written into the address', async () => {
    const page = await open('', (await staticHost()).url);
    await drop(page, { 'mine.liif': liif });
    await page.waitForSelector('.readout');
    const scale = (text: string) => page.locator('.readout-scale').getByText(text, { exact: true }).waitFor();
    await page.evaluate(() => {
      location.hash = '#x=20&y=20&z=4';
    });
    await scale('16×');
    await page.evaluate(() => {
      location.hash = '#x=20&y=20&z=5';
    });
    await scale('32×');
    await page.goBack();
    await scale('16×');
    expect(await page.title()).toBe('mine – liif');
    await page.getByRole('button', { name: 'All pictures' }).click();
    await page.waitForSelector('.start');
    await page.goBack();
    await headed(page, 'mine');
    expect(page.faults).toEqual([]);
    await page.close();
  });

  it('lists the keys that do something, and no others', async () => {
    const keys = async (page: Page) => {
      await page.waitForSelector('.readout');
      await page.keyboard.press('?');
      return (await page.locator('dialog[open] kbd').allTextContents()).join(' ');
    };
    const page = await open('view?id=noise');
    expect(await keys(page)).toBe('+ − ← ↑ → ↓ 0 1 C I N D S L F T Esc ?');
    await page.goto(`${server!.localUrl}view?id=plain.png`);
    expect(await keys(page)).toBe('+ − ← ↑ → ↓ 0 1 I N S L F T Esc ?');
    await page.goto((await staticHost()).url);
    await drop(page, { 'mine.liif': liif });
    expect(await keys(page)).toBe('+ − ← ↑ → ↓ 0 1 I N S F T Esc ?');
    await page.close();
  });

  it('stays with who has gone elsewhere while an upload was encoded, and offers to open it', async () => {
    const page = await open();
    // Held back as by a server that has much to do.
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await intercept(page, '**/api/jobs/*', async (route) => {
      await held;
      await route.continue();
    });
    await drop(page, { 'sent.png': png });
    await page.getByText('sent.png: sending 100 %').waitFor();
    await page.locator('.card', { hasText: 'noise' }).click();
    await headed(page, 'noise');
    release();
    await page.getByText('sent.png is now sent.').waitFor();
    await headed(page, 'noise');
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    await headed(page, 'sent');
    await page.close();
  });

  it('cancels an upload that is being encoded, so that there is no picture', async () => {
    // An encoder that comes to no end unless it is told to stop.
    const engine = await quickEngine();
    const analyze: Engine['analyze'] = (...[, , , , signal]) =>
      new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    const slow = await startServer({
      roots: [await directoryOf({ 'plain.png': png })],
      openEngine: async () => ({ ...engine, analyze }),
      viewer,
      allowUpload: true,
    });
    const page = await open('', slow.localUrl);
    await drop(page, { 'large.png': png });
    const jobs: string[] = [];
    page.on('request', (request) => request.method() === 'DELETE' && jobs.push(request.url()));
    await page.getByText('large.png: encoding').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.waitForFunction(() => document.querySelector('.notice') === null);
    await eventually(() => jobs.length > 0);
    expect(jobs.length).toBe(1);
    const job = new URL(jobs[0]!).pathname;
    await eventually(async () => (await slow.get(job)).json().state === 'failed');
    expect((await slow.get('/api/images/large')).status).toBe(404);
    await page.close();
  });
});
