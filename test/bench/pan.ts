import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import type { Browser } from 'playwright-core';
import { folderOf, ISOLATED, plainChromium, startStaticHost } from '../browser/chromium.ts';
import { type Figure, figureTable, machineName, passes } from './figures.ts';
import type * as PanPage from './pan/page.ts';
import type { PanRecord } from './pan/page.ts';
import { threadTimes } from './pan/thread-times.ts';
import { benchPictures, SIDE } from './serve/setup.ts';
import { table } from './table.ts';

/**
 * Pans at native scale over a picture of 16 megapixels that the browser decodes itself by wasm, from a static
 * host: frames, main thread, tiles.
 *
 *     npm run bench:pan -- [--speed 400] [--seconds 10] [--threads]
 *
 * Takes the viewer that is built in dist/viewer. Pause other work first. Headless Chromium paints on the
 * processor, beside the decoder. --threads tells where processor time went. Ends with status 1 if a bar is
 * missed.
 */
const { values: options } = parseArgs({
  options: {
    speed: { type: 'string', default: '400' },
    seconds: { type: 'string', default: '10' },
    threads: { type: 'boolean', default: false },
  },
});
const SPEED = Number(options.speed);
const SECONDS = Number(options.seconds);
if (!(SPEED > 0 && SECONDS > 0)) throw new Error('--speed and --seconds: expected numbers above 0');

const VIEW = { width: 1280, height: 800 };
const LONGEST_GAP_BAR = 100;
const P99_GAP_BAR = 34;
const PAGES = {
  isolated: ISOLATED,
  'not isolated': {},
} as const;

/**
 * Legs of a pan inside the picture that crosses no place twice: right, down, left, down and so on, until the
 * time is up.
 */
function path(): [number, number][] {
  const legs: [number, number][] = [];
  const wide = SIDE - VIEW.width - 64;
  let left = SPEED * SECONDS;
  for (let i = 0; left > 0; i++) {
    const length = Math.min(left, i % 2 === 0 ? wide : VIEW.height);
    legs.push(i % 2 === 1 ? [0, length] : [i % 4 === 0 ? length : -length, 0]);
    left -= length;
  }
  return legs;
}

async function panned(browser: Browser, url: string, isolated: boolean, script: string) {
  const page = await browser.newPage({ viewport: VIEW });
  const [x, y] = [VIEW.width / 2 + 16, VIEW.height / 2 + 16];
  await page.goto(`${url}?src=pictures/mosaic.liif#x=${x}&y=${y}&z=${Math.log2(SIDE / 256)}&decode=wasm`);
  const loaded = await page.waitForFunction(() => {
    const tiles = [...document.querySelectorAll('.liif-tile')];
    const inView = tiles.filter((tile) => {
      const { left, top, right, bottom } = tile.getBoundingClientRect();
      return right > 0 && bottom > 0 && left < innerWidth && top < innerHeight;
    });
    if (inView.length === 0) return false;
    return inView.every((tile) => tile.firstElementChild instanceof HTMLCanvasElement) && performance.now();
  });
  const firstView = (await loaded.jsonValue()) as number;
  if ((await page.evaluate(() => crossOriginIsolated)) !== isolated)
    throw new Error('isolation is not as meant');
  await page.addScriptTag({ content: script });
  const pan = (legs: readonly (readonly [number, number])[]) =>
    page.evaluate(
      ([all, speed]) => (window as unknown as { panPage: typeof PanPage }).panPage.pan(all, speed),
      [legs, SPEED] as const,
    );
  // Wait until notices are gone. Then measure the page without new tiles, for comparison.
  await page.waitForTimeout(6000);
  const there = Array.from({ length: 20 }, (_, i): [number, number] => [i % 2 === 0 ? 16 : -16, 0]);
  const alone = await pan(there);
  await page.waitForTimeout(500);
  const before = await threadTimes(browser);
  const record = await pan(path());
  const after = await threadTimes(browser);
  await page.close();
  const spent = [...after]
    .map(([name, seconds]) => [name, seconds - (before.get(name) ?? 0)] as const)
    .filter(([, seconds]) => seconds >= 0.1)
    .sort(([, a], [, b]) => b - a);
  return { firstView, alone, record, spent };
}

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);

function row(
  name: string,
  { frames, longTasks, longestWait, appearing, missed, blank }: PanRecord,
): string[] {
  const tasks = longTasks.length === 0 ? '0' : `${longTasks.length}, ${Math.max(...longTasks).toFixed(0)} ms`;
  return [
    name,
    String(frames.length),
    Math.max(...frames).toFixed(0),
    quantile(frames, 0.95).toFixed(0),
    quantile(frames, 0.99).toFixed(0),
    tasks,
    longestWait.toFixed(0),
    String(appearing.length),
    quantile(appearing, 0.5).toFixed(0),
    quantile(appearing, 0.95).toFixed(0),
    String(missed),
    `${(100 * mean(blank)).toFixed(1)} / ${(100 * Math.max(...blank)).toFixed(0)} %`,
  ];
}

const HEADINGS = [
  'page',
  'frames',
  'longest gap',
  'p95',
  'p99',
  'long tasks',
  'longest wait',
  'new tiles',
  'p50 to appear',
  'p95',
  'missed',
  'blank, mean / most',
];

const viewer = folderOf('dist/viewer');
const index = new Map([['index.html', await readFile(join(viewer, 'index.html'))]]);
const { liif } = await benchPictures();
const bundled = await build({
  entryPoints: [fileURLToPath(new URL('./pan/page.ts', import.meta.url))],
  bundle: true,
  write: false,
  format: 'iife',
  globalName: 'panPage',
  target: 'es2022',
});
const script = bundled.outputFiles[0]!.text;
const rows: string[][] = [];
const figures: Figure[] = [];
const times: string[] = [];
const views: string[] = [];
for (const [name, headers] of Object.entries(PAGES)) {
  const host = await startStaticHost(
    index,
    { '/model': folderOf('src/model'), '/pictures': liif, '/': viewer },
    headers,
  );
  const browser = await plainChromium();
  try {
    const { firstView, alone, record, spent } = await panned(browser, host.url, name === 'isolated', script);
    rows.push(row(`${name}, no new tiles`, alone), row(name, record));
    figures.push(
      {
        name: `pan, ${name}: longest gap`,
        value: Math.max(...record.frames),
        unit: 'ms',
        atMost: LONGEST_GAP_BAR,
      },
      {
        name: `pan, ${name}: p99 of gaps`,
        value: quantile(record.frames, 0.99),
        unit: 'ms',
        atMost: P99_GAP_BAR,
      },
    );
    const list = spent.map(([thread, seconds]) => `${thread} ${seconds.toFixed(1)} s`);
    times.push(`${name}: ${list.join(', ')}`);
    views.push(`${name} ${(firstView / 1000).toFixed(1)} s`);
  } finally {
    await browser.close();
    host.close();
  }
}

console.log(
  [
    `Pan at native scale, ${SPEED} pixels/s for ${SECONDS} s, view of ${VIEW.width} x ${VIEW.height}, headless Chromium (${machineName()}). Milliseconds.`,
    '',
    ...table(HEADINGS, rows),
    '',
    `From the address to a full view, weights included: ${views.join(', ')}.`,
    '',
    ...(options.threads ? ['Processor time:', '', ...times.map((line) => `- ${line}`), ''] : []),
    ...figureTable(figures),
  ].join('\n'),
);
process.exitCode = figures.every(passes) ? 0 : 1;
