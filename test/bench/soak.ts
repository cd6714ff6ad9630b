import { parseArgs } from 'node:util';
import { load } from '../../src/bench/http-load.ts';
import { seededRandom } from '../../src/train/random.ts';
import { child } from './child.ts';
import { machineName } from './figures.ts';
import { benchPictures, freePort, startLiif } from './serve/setup.ts';
import { fill } from './serve/tiles.ts';
import type { HealthResult } from './soak/health.ts';
import type { SoakResult } from './soak/load.ts';
import { tilePath } from './soak/paths.ts';
import { quantile } from './table.ts';

/**
 * Ten times as many requests as the server can serve, from clients on the same processors: tiles of all zooms
 * with a small cache of images, large regions among them, and clients that hang up.
 *
 *     npm run bench:soak -- [--minutes 10] [--rate REQUESTS_PER_SECOND] [--profile DIRECTORY]
 *
 * Pause other work first. --rate: instead of ten times what was measured. --profile: a CPU profile of the
 * server. Ends with status 1 if a bar is missed.
 */
const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string' },
    profile: { type: 'string' },
  },
});
const SECONDS = Math.round(Number(options.minutes) * 60);
if (!(SECONDS > 0)) throw new Error('--minutes: expected a number above 0');
const OVERLOAD = 10;
/** The caches are full by then; later growth of memory is measured from here. */
const SETTLED_MS = 60_000;

interface Sample {
  readonly ms: number;
  readonly megabytes: number;
}

const { liif } = await benchPictures();
const healthPort = await freePort();
const server = await startLiif(
  [liif],
  [
    '--feature-cache-mb',
    '2000',
    '--tile-cache-mb',
    '16',
    '--log-level',
    'error',
    '--health-port',
    String(healthPort),
  ],
  options.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', options.profile],
);

// All features first, so that the capacity is the same in every run. Then the capacity: a closed loop of
// enough clients.
await fill(server.url);
const random = seededRandom(7);
const anyTile = () => tilePath(random);
await load(server.url, anyTile, 16, 3);
const capacity = await load(server.url, anyTile, 16, 10);
const rate = options.rate === undefined ? Math.round(capacity.rate * OVERLOAD) : Number(options.rate);
console.error(
  `serves ${capacity.rate.toFixed(0)} tiles/s, p99 ${capacity.p99.toFixed(0)} ms; now ${rate} requests/s for ${SECONDS} s`,
);

const samples: Sample[] = [];
/** Longest time in seconds for which the server's event loop was blocked. */
let held = 0;
let metrics = '';
const begun = performance.now();

async function look(): Promise<void> {
  metrics = await fetch(`${server.url}/metrics`, { signal: AbortSignal.timeout(10_000) }).then(
    (answer) => answer.text(),
    () => '',
  );
  const bytes = Number(/^process_resident_memory_bytes (\d+)/m.exec(metrics)?.[1]);
  held = Math.max(held, Number(/^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(metrics)?.[1] ?? 0));
  samples.push({ ms: performance.now() - begun, megabytes: bytes / 2 ** 20 });
}

/** The server's own port, where requests queue, and its health port. */
const probers = [server.url, `http://127.0.0.1:${healthPort}`].map((url) =>
  child(new URL('./soak/health.ts', import.meta.url), url),
);
const clients = child(new URL('./soak/load.ts', import.meta.url), server.url, String(rate), String(SECONDS));
let over = false;
const watching = (async () => {
  while (!over) {
    await look();
    await new Promise((resolve) => setTimeout(resolve, 2500));
  }
})();
const result: SoakResult = JSON.parse(await clients.output);
over = true;
await watching;
const probes = await Promise.all(
  probers.map(async (prober) => {
    prober.end();
    const { times, own }: HealthResult = JSON.parse(await prober.output);
    const health = times.map((ms) => ms ?? Number.POSITIVE_INFINITY);
    // As measured, and without the lateness of the asking process.
    return { health, servers: health.map((ms, i) => ms - own[i]!) };
  }),
);
await look();
const crashed = server.child.exitCode !== null || server.child.signalCode !== null;
await server.stop();

const settled = samples.filter(({ ms }) => ms >= Math.min(SETTLED_MS, (SECONDS * 1000) / 3));
const first = settled[0]?.megabytes ?? 0;
const highest = Math.max(...settled.map(({ megabytes }) => megabytes));
const spread = (values: readonly number[]) => {
  const at = (share: number) => quantile(values, share).toFixed(0);
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)} ms; over 100 ms: ${values.filter((ms) => ms >= 100).length}`;
};

console.log(
  `${SECONDS} s at ${rate} requests/s, ${(rate / capacity.rate).toFixed(1)} times the ${capacity.rate.toFixed(0)} tiles/s that were served; ${machineName()}\n`,
);
console.log(
  `requests  ${result.sent}, of them ${result.hungUp} hung up; ${result.unsent} more were due while all clients waited`,
);
console.log(
  `answers   ${Object.entries(result.statuses)
    .map(([status, count]) => `${status}: ${count}`)
    .join(
      ', ',
    )}; connections that failed: ${result.failures}; 99 of 100 refusals within ${result.refused99} ms`,
);
console.log(
  `tiles     ${result.tiles} admitted and served (${(result.tiles / SECONDS).toFixed(0)}/s), p50 ${result.p50} ms, p99 ${result.p99} ms, longest ${result.max} ms`,
);
for (const [i, { health, servers }] of probes.entries()) {
  console.log(
    `health    ${i === 0 ? 'on the main port' : 'on its own port'}, ${health.length} times: ${spread(health)}`,
  );
  console.log(`          without the prober's own lateness: ${spread(servers)}`);
}
console.log(`          the server's event loop was held for at most ${(1000 * held).toFixed(0)} ms`);
console.log(
  `memory    ${samples
    .map(({ megabytes }) => megabytes.toFixed(0))
    .filter((_, i) => i % Math.ceil(samples.length / 12) === 0)
    .join(' ')} MB; after the first minute ${first.toFixed(0)}, at most ${highest.toFixed(0)}`,
);
console.log(`refused   ${metrics.match(/^liif_shed_total\{.*$/gm)?.join('; ')}\n`);
for (const text of result.unexpected) console.log(`unexpected: ${text}`);
const bars: [string, boolean][] = [
  ['no crash', !crashed],
  [
    'no 5xx but 503',
    Object.keys(result.statuses).every((status) => Number(status) < 500 || status === '503'),
  ],
  ['no connection failed', result.failures === 0],
  ['all requests could be sent', result.unsent === 0],
  ['memory within 10 % after the first minute', highest <= first * 1.1],
  ['p99 of admitted tiles under 2 s', result.tiles > 0 && result.p99 < 2000],
  ['health, on its own port, under 100 ms throughout', Math.max(...probes[1]!.servers) < 100],
];
for (const [text, met] of bars) console.log(`${met ? 'met' : 'NOT MET'}: ${text}`);
if (crashed) console.log(server.output());
process.exitCode = bars.every(([, met]) => met) ? 0 : 1;
