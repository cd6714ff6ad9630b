import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import {
  benchPictures,
  freePort,
  installed,
  machine,
  type Running,
  randomFrom,
  SIDE,
  startLiif,
  startProgram,
  writeConfig,
} from './serve-setup.ts';

// npm run bench:serve [-- --seconds 8]
// Random JPEG tiles of one picture of 16 megapixels, from this server and from two others, the client on the same processors.

const option = process.argv.indexOf('--seconds');
const SECONDS = option > 0 ? Number(process.argv[option + 1]) : 8;
const CONNECTIONS = [1, 4, 16];
const TILE = 256;
const MAX_ZOOM = Math.log2(SIDE / TILE);
const IIPSRV = '/usr/lib/iipimage-server/iipsrv.fcgi';

interface Tile {
  readonly z: number;
  readonly x: number;
  readonly y: number;
}

interface Row {
  readonly server: string;
  readonly what: string;
  readonly connections: number;
  readonly rate: number;
  readonly p50: number;
  readonly p97: number;
  readonly failed: number;
}

/** Every tile of the pyramid is as likely as any other. */
function randomTiles(seed: number): () => Tile {
  const random = randomFrom(seed);
  const tiles: Tile[] = [];
  for (let z = 0; z <= MAX_ZOOM; z++)
    for (let y = 0; y < 2 ** z; y++) for (let x = 0; x < 2 ** z; x++) tiles.push({ z, x, y });
  return () => tiles[Math.floor(random() * tiles.length)]!;
}

const xyz = ({ z, x, y }: Tile) => `/mosaic/${z}/${x}/${y}.jpg`;

function iiif(prefix: string): (tile: Tile) => string {
  return ({ z, x, y }) => {
    const span = SIDE / 2 ** z;
    return `${prefix}/${x * span},${y * span},${span},${span}/${TILE},${TILE}/0/default.jpg`;
  };
}

async function load(
  running: Running,
  what: string,
  server: string,
  pathOf: (tile: Tile) => string,
  connections: number,
  seconds = SECONDS,
): Promise<Row> {
  const next = randomTiles(connections);
  const result = await autocannon({
    url: running.url,
    connections,
    duration: seconds,
    timeout: 30,
    requests: [{ setupRequest: (request) => ({ ...request, path: pathOf(next()) }) }],
  });
  const row: Row = {
    server,
    what,
    connections,
    rate: result['2xx'] / result.duration,
    p50: result.latency.p50,
    p97: result.latency.p97_5,
    failed: result.non2xx + result.errors,
  };
  console.error(
    `${server}, ${what}, ${connections} connections: ${row.rate.toFixed(0)} tiles/s, p50 ${row.p50} ms, p97.5 ${row.p97} ms${row.failed ? `, ${row.failed} failed` : ''}`,
  );
  return row;
}

async function everyTile(running: Running, pathOf: (tile: Tile) => string): Promise<void> {
  for (let z = 0; z <= MAX_ZOOM; z++)
    for (let y = 0; y < 2 ** z; y++)
      for (let x = 0; x < 2 ** z; x++) await (await fetch(running.url + pathOf({ z, x, y }))).arrayBuffer();
}

async function benchLiif(directory: string): Promise<Row[]> {
  const rows: Row[] = [];
  const cold = await startLiif([directory], ['--feature-cache-mb', '0', '--tile-cache-mb', '0']);
  await load(cold, 'warming up', 'liif', xyz, 1, 2);
  for (const connections of CONNECTIONS)
    rows.push(await load(cold, 'cold features', 'liif', xyz, connections));
  await cold.stop();

  const warm = await startLiif([directory], ['--feature-cache-mb', '2000', '--tile-cache-mb', '0']);
  await everyTile(warm, xyz);
  for (const connections of CONNECTIONS)
    rows.push(await load(warm, 'warm features', 'liif', xyz, connections));
  await warm.stop();

  const cached = await startLiif([directory], ['--feature-cache-mb', '0']);
  await everyTile(cached, xyz);
  for (const connections of CONNECTIONS)
    rows.push(await load(cached, 'cached tiles', 'liif', xyz, connections));
  await cached.stop();
  return rows;
}

async function benchProcessor(directory: string): Promise<Row[]> {
  const port = await freePort();
  const pathOf = iiif('/iiif/3/mosaic.tif');
  const running = await startProgram(
    process.execPath,
    ['--import', 'tsx', 'test/bench/iiif-processor-server.ts', directory, String(port)],
    `http://127.0.0.1:${port}`,
    '/iiif/3/mosaic.tif/info.json',
  );
  const rows: Row[] = [];
  for (const connections of CONNECTIONS)
    rows.push(await load(running, 'pyramid TIFF', 'iiif-processor', pathOf, connections));
  await running.stop();
  return rows;
}

async function benchIipsrv(directory: string): Promise<Row[]> {
  const home = await mkdtemp(join(tmpdir(), 'liif-iipsrv-'));
  const [port, backend] = [await freePort(), await freePort()];
  // As many processes as processors; its own cache of tiles off, as ours is in the run it stands beside.
  const fcgi = await startFcgi(directory, backend, home);
  const config = await writeConfig(
    home,
    'nginx.conf',
    `daemon off; ${process.getuid?.() === 0 ? 'user root; ' : ''}pid ${home}/nginx.pid; error_log stderr warn; worker_processes 1;
events { worker_connections 256; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${home}/${name};`).join(' ')}
  upstream iipsrv { server 127.0.0.1:${backend}; keepalive 8; }
  server {
    listen 127.0.0.1:${port};
    location / {
      fastcgi_pass iipsrv;
      fastcgi_keep_conn on;
      fastcgi_param QUERY_STRING "IIIF=$uri";
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_param HTTP_HOST $http_host;
      fastcgi_param REQUEST_URI $request_uri;
    }
  }
}
`,
  );
  const running = await startProgram(
    'nginx',
    ['-p', home, '-e', 'stderr', '-c', config],
    `http://127.0.0.1:${port}`,
    '/mosaic.tif/info.json',
  );
  const rows: Row[] = [];
  for (const connections of CONNECTIONS)
    rows.push(await load(running, 'pyramid TIFF', 'iipsrv', iiif('/mosaic.tif'), connections));
  await running.stop();
  process.kill(fcgi, 'SIGTERM');
  await rm(home, { recursive: true, force: true });
  return rows;
}

async function startFcgi(directory: string, port: number, home: string): Promise<number> {
  const { execFileSync } = await import('node:child_process');
  const { readFileSync } = await import('node:fs');
  execFileSync(
    'spawn-fcgi',
    ['-a', '127.0.0.1', '-p', String(port), '-F', '2', '-P', join(home, 'pid'), '-f', IIPSRV],
    {
      env: {
        ...process.env,
        FILESYSTEM_PREFIX: `${directory}/`,
        JPEG_QUALITY: '85',
        MAX_IMAGE_CACHE_SIZE: '0',
        LOGFILE: '/dev/null',
        VERBOSITY: '0',
      },
      stdio: 'ignore',
    },
  );
  const pids = readFileSync(join(home, 'pid'), 'utf8').split('\n').filter(Boolean).map(Number);
  process.once('exit', () => {
    for (const pid of pids)
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it has ended
      }
  });
  return pids[0]!;
}

const pictures = await benchPictures();
const rows = await benchLiif(pictures.liif);
rows.push(...(await benchProcessor(pictures.tiff)));
if (installed(IIPSRV) && installed('spawn-fcgi') && installed('nginx'))
  rows.push(...(await benchIipsrv(pictures.tiff)));
else console.error('iipsrv is not measured: it needs iipimage-server, spawn-fcgi and nginx');

console.log(`Random 256 x 256 JPEG tiles of ${SIDE} x ${SIDE} pixels; ${machine()}; ${SECONDS} s each\n`);
console.log('| server | what | connections | tiles/s | p50 ms | p97.5 ms |');
console.log('|---|---|---|---|---|---|');
for (const { server, what, connections, rate, p50, p97, failed } of rows)
  console.log(
    `| ${server} | ${what} | ${connections} | ${rate.toFixed(0)}${failed ? ` (${failed} failed)` : ''} | ${p50} | ${p97} |`,
  );

const best = (server: string, what: string) =>
  Math.max(0, ...rows.filter((row) => row.server === server && row.what === what).map(({ rate }) => rate));
const alone = (what: string) => rows.find((row) => row.what === what && row.connections === 1)!.p50;
const warm = best('liif', 'warm features');
const bars: [string, boolean][] = [
  [`warm: ${warm.toFixed(0)} tiles/s, at least 250`, warm >= 250],
  [
    `cached: ${best('liif', 'cached tiles').toFixed(0)} tiles/s, at least 1500`,
    best('liif', 'cached tiles') >= 1500,
  ],
  [`p50 of one connection, warm: ${alone('warm features')} ms, at most 12`, alone('warm features') <= 12],
  [`p50 of one connection, cold: ${alone('cold features')} ms, at most 80`, alone('cold features') <= 80],
  [
    `faster than iiif-processor (${best('iiif-processor', 'pyramid TIFF').toFixed(0)})`,
    warm > best('iiif-processor', 'pyramid TIFF'),
  ],
];
if (rows.some(({ server }) => server === 'iipsrv'))
  bars.push([
    `at least half of iipsrv (${best('iipsrv', 'pyramid TIFF').toFixed(0)})`,
    warm >= best('iipsrv', 'pyramid TIFF') / 2,
  ]);
console.log();
for (const [text, met] of bars) console.log(`${met ? 'met' : 'NOT MET'}: ${text}`);
if (rows.some(({ failed }) => failed > 0)) console.log('NOT MET: some requests failed');
process.exitCode = bars.every(([, met]) => met) && rows.every(({ failed }) => failed === 0) ? 0 : 1;
