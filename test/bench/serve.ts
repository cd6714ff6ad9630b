import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type Load, load } from '../../src/bench/http-load.ts';
import { multiplyAdds } from '../../src/bench/multiply-adds.ts';
import { processorSpeed } from '../../src/bench/processor-speed.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import { integerBetween, seededRandom } from '../../src/train/random.ts';
import { type Figure, figureTable, machineName, passes } from './figures.ts';
import { missingForIipsrv, startIiifProcessor, startIipsrv } from './serve/peers.ts';
import { benchPictures, type Running, SIDE, startLiif } from './serve/setup.ts';
import { fill, TILE, TILES, type Tile, tileUrl } from './serve/tiles.ts';
import { table } from './table.ts';

/**
 * Random JPEG tiles of a picture of 16 megapixels, from liif serve and two other servers. The clients run on
 * the same processors.
 *
 *     npm run bench:serve -- [--seconds 4] [--only cold,warm,cached,peers]
 *
 * Pause other work first. Takes about three minutes, and two more the first time, when the picture is made.
 * Ends with status 1 if a bar is missed.
 */
const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '4' },
    only: { type: 'string', default: 'cold,warm,cached,peers' },
  },
});
const SECONDS = Number(options.seconds);
if (!(SECONDS > 0)) throw new Error('--seconds: expected a number above 0');
const PARTS = options.only.split(',');

const CONNECTIONS = [1, 4, 16];

interface Row extends Load {
  readonly server: string;
  readonly what: string;
  readonly connections: number;
}

function iiif(prefix: string): (tile: Tile) => string {
  return ({ z, x, y }) => {
    const span = SIDE / 2 ** z;
    return `${prefix}/${x * span},${y * span},${span},${span}/${TILE},${TILE}/0/default.jpg`;
  };
}

const rows: Row[] = [];

async function measure(running: Running, server: string, what: string, pathOf: (tile: Tile) => string) {
  const paths = (seed: number) => {
    const random = seededRandom(seed);
    return () => pathOf(TILES[integerBetween(random, 0, TILES.length)]!);
  };
  // Warm-up: code is slow the first time it runs.
  await load(running.url, paths(1), 1, Math.min(1, SECONDS));
  for (const connections of CONNECTIONS) {
    const row = {
      server,
      what,
      connections,
      ...(await load(running.url, paths(connections), connections, SECONDS)),
    };
    rows.push(row);
    console.error(
      `${server}, ${what}, ${connections} connections: ${row.rate.toFixed(0)} tiles/s, p50 ${row.p50.toFixed(1)} ms, p99 ${row.p99.toFixed(1)} ms${row.failed ? `, ${row.failed} failed` : ''}`,
    );
  }
}

/** Settings for runs that measure capacity: no tile is refused for a long wait. */
const PATIENT = ['--max-wait-ms', '60000', '--log-level', 'error'];

async function benchLiif(what: string, settings: readonly string[], warm: boolean): Promise<void> {
  const running = await startLiif([pictures.liif], [...settings, ...PATIENT]);
  if (warm) await fill(running.url);
  await measure(running, 'liif', what, tileUrl);
  await running.stop();
}

const pictures = await benchPictures();
const processor = await processorSpeed(availableParallelism(), 0.5);
const NO_FEATURES = ['--feature-cache-mb', '0', '--pixel-cache-mb', '0', '--tile-cache-mb', '0'];
/** All features of the picture, and no finished tile. */
const ALL_FEATURES = ['--feature-cache-mb', '2000', '--tile-cache-mb', '0'];
if (PARTS.includes('cold')) {
  await benchLiif('cold: nothing kept', [...NO_FEATURES, '--latent-cache-mb', '0'], false);
  await benchLiif('cold features, latents kept', NO_FEATURES, true);
}
if (PARTS.includes('warm')) {
  // The default: tiles are cut from cached native pixels, or reduced from them, and encoded.
  await benchLiif('warm pixels', ALL_FEATURES, true);
  // Every tile goes through the network's last layers.
  await benchLiif('warm features', [...ALL_FEATURES, '--pixel-cache-mb', '0'], true);
}
if (PARTS.includes('cached')) await benchLiif('cached tiles', ['--feature-cache-mb', '2000'], true);
if (PARTS.includes('peers')) {
  const processorPeer = await startIiifProcessor(pictures.tiff);
  await measure(processorPeer.running, 'iiif-processor', 'pyramid TIFF', iiif(processorPeer.prefix));
  await processorPeer.running.stop();
  const missing = missingForIipsrv();
  if (missing === undefined) {
    const iipsrv = await startIipsrv(pictures.tiff, availableParallelism());
    await measure(iipsrv.running, 'iipsrv', 'pyramid TIFF', iiif(iipsrv.prefix));
    await iipsrv.running.stop();
  } else console.error(`iipsrv is not measured: it needs ${missing}`);
}

console.log(`Random 256 x 256 JPEG tiles of ${SIDE} x ${SIDE} pixels; ${machineName()}; ${SECONDS} s each.`);
console.log(
  `Meanwhile the processors reach ${processor.gigaMacs.toFixed(0)} GMAC/s with a plain dense kernel on all threads.\n`,
);
const header = ['server', 'what', 'connections', 'tiles/s', 'p50 ms', 'p99 ms', 'failed'];
const cells = rows.map(({ server, what, connections, rate, p50, p99, failed }) => [
  server,
  what,
  String(connections),
  rate.toFixed(0),
  p50.toFixed(1),
  p99.toFixed(1),
  String(failed),
]);
console.log(table(header, cells).join('\n'));

const best = (server: string, what: string) =>
  Math.max(0, ...rows.filter((row) => row.server === server && row.what === what).map(({ rate }) => rate));
const alone = (what: string) => rows.find((row) => row.what === what && row.connections === 1)?.p50;
const figures: Figure[] = [];
if (PARTS.includes('warm'))
  for (const [what, atLeast] of [
    ['warm pixels', 500],
    ['warm features', 250],
  ] as const) {
    figures.push({ name: what, value: best('liif', what), unit: 'tiles/s', atLeast });
    figures.push({ name: `${what}, p50 of one connection`, value: alone(what)!, unit: 'ms', atMost: 12 });
  }
if (PARTS.includes('cold')) {
  // Most of these tiles need the features of one block: the bar is in times of what a plain kernel takes here
  // for its arithmetic.
  const { synthesis } = await releasedModel();
  const latents = { width: SIDE / 16, height: SIDE / 16 };
  const block = { left: SIDE / 2, top: SIDE / 2, width: TILE, height: TILE };
  const plainMs = multiplyAdds(synthesis, latents, block) / (processor.gigaMacs * 1e6);
  for (const [what, atMost] of [
    ['cold: nothing kept', 5],
    ['cold features, latents kept', 3],
  ] as const) {
    const name = `${what}, p50 of one connection, of a plain kernel's time`;
    figures.push({ name, value: alone(what)! / plainMs, unit: 'times', atMost });
  }
}
if (PARTS.includes('cached'))
  figures.push({ name: 'cached', value: best('liif', 'cached tiles'), unit: 'tiles/s', atLeast: 1500 });
if (PARTS.includes('warm') && PARTS.includes('peers')) {
  const share = (what: string, server: string, atLeast?: number) => {
    const rate = best(server, 'pyramid TIFF');
    if (rate === 0) return;
    figures.push({
      name: `${what}, of ${server}'s rate`,
      value: best('liif', what) / rate,
      unit: 'times',
      ...(atLeast !== undefined && { atLeast }),
    });
  };
  share('warm pixels', 'iiif-processor', 1);
  share('warm features', 'iiif-processor', 1);
  share('warm pixels', 'iipsrv', 0.5);
  // No bar: every sample goes through the network's last layers, while iipsrv copies samples of a tile.
  share('warm features', 'iipsrv');
}
figures.push({
  name: 'failed requests',
  value: rows.reduce((sum, row) => sum + row.failed, 0),
  unit: '',
  atMost: 0,
});
console.log();
console.log(figureTable(figures).join('\n'));
process.exitCode = figures.every(passes) ? 0 : 1;
