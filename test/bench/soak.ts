import { spawn } from 'node:child_process';
import { request } from 'node:http';
import autocannon from 'autocannon';
import { benchPictures, machine, ROOT, startLiif } from './serve-setup.ts';

// npm run bench:soak [-- --minutes 10]
// Ten times as many requests as the server can serve: tiles of all zooms without a cache of images, large regions among them, clients that hang up.

const option = process.argv.indexOf('--minutes');
const SECONDS = Math.round((option > 0 ? Number(process.argv[option + 1]) : 10) * 60);
if (!(SECONDS > 0)) throw new Error('--minutes: expected a number above 0');
const OVERLOAD = 10;
/** Memory is compared with what it was then: the caches are full by that time. */
const SETTLED_MS = 60_000;

interface Sample {
  readonly ms: number;
  readonly megabytes: number;
}

const { liif } = await benchPictures();
const server = await startLiif(
  [liif],
  ['--feature-cache-mb', '256', '--tile-cache-mb', '16', '--log-level', 'error'],
);

/** What it can serve: closed loop, enough clients to fill it. */
const capacity = await autocannon({
  url: server.url,
  connections: 16,
  duration: 15,
  requests: [
    {
      setupRequest: (sent) => ({
        ...sent,
        path: `/mosaic/4/${Math.floor(Math.random() * 16)}/${Math.floor(Math.random() * 16)}.jpg`,
      }),
    },
  ],
});
const served = capacity['2xx'] / capacity.duration;
const rate = Math.max(50, Math.round(served * OVERLOAD));
console.error(`serves ${served.toFixed(0)} tiles/s; ${rate} requests/s for ${SECONDS} s`);

const samples: Sample[] = [];
const health: number[] = [];
/** Seconds that the server's event loop was held at most between two looks: the rest of a late answer is this machine's. */
let held = 0;
const begun = performance.now();

/** Milliseconds until /health has answered; a connection of its own each time, as a balancer's is. */
function askHealth(): Promise<number> {
  const asked = performance.now();
  return new Promise((resolve, reject) => {
    const sent = request(`${server.url}/health`, { agent: false, timeout: 10_000 }, (response) => {
      response.resume();
      response.on('end', () => resolve(performance.now() - asked));
    });
    sent.on('error', reject);
    sent.end();
  });
}

let over = false;
const watching = (async () => {
  for (let i = 0; !over; i++) {
    health.push(await askHealth().catch(() => Number.POSITIVE_INFINITY));
    if (i % 10 === 0) {
      const text = await fetch(`${server.url}/metrics`).then(
        (answer) => answer.text(),
        () => '',
      );
      const bytes = Number(/^process_resident_memory_bytes (\d+)/m.exec(text)?.[1]);
      held = Math.max(held, Number(/^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(text)?.[1] ?? 0));
      samples.push({ ms: performance.now() - begun, megabytes: bytes / 2 ** 20 });
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
})();

const load = spawn(
  process.execPath,
  ['--import', 'tsx', 'test/bench/soak-load.ts', server.url, String(rate), String(SECONDS)],
  { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] },
);
let output = '';
load.stdout.on('data', (part: Buffer) => {
  output += part.toString();
});
await new Promise((resolve) => load.once('exit', resolve));
over = true;
await watching;
const crashed = server.child.exitCode !== null || server.child.signalCode !== null;
await server.stop();

const result = JSON.parse(output) as {
  sent: number;
  statuses: Record<string, number>;
  hungUp: number;
  failures: number;
  unexpected: string[];
  tiles: number;
  p50: number;
  p99: number;
  max: number;
};
const settled = samples.filter(({ ms }) => ms >= Math.min(SETTLED_MS, (SECONDS * 1000) / 3));
const first = settled[0]?.megabytes ?? 0;
const highest = Math.max(...settled.map(({ megabytes }) => megabytes));
health.sort((a, b) => a - b);
const worstHealth = health.at(-1)!;

console.log(`${SECONDS} s at ${rate} requests/s, ${OVERLOAD} times what was served; ${machine()}\n`);
console.log(`requests  ${result.sent}, of them ${result.hungUp} hung up`);
console.log(
  `answers   ${Object.entries(result.statuses)
    .map(([status, count]) => `${status}: ${count}`)
    .join(', ')}; connections that failed: ${result.failures}`,
);
console.log(
  `tiles     ${result.tiles} admitted and served, p50 ${result.p50} ms, p99 ${result.p99} ms, longest ${result.max} ms`,
);
console.log(
  `health    ${health.length} times, p99 ${health[Math.floor(0.99 * (health.length - 1))]!.toFixed(0)} ms, longest ${worstHealth.toFixed(0)} ms; over 100 ms: ${health.filter((ms) => ms >= 100).length}; the event loop was held for at most ${(1000 * held).toFixed(0)} ms`,
);
console.log(
  `memory    ${samples
    .map(({ megabytes }) => megabytes.toFixed(0))
    .filter((_, i) => i % Math.ceil(samples.length / 12) === 0)
    .join(' ')} MB; after the first minute ${first.toFixed(0)}, at most ${highest.toFixed(0)}\n`,
);
for (const text of result.unexpected) console.log(`unexpected: ${text}`);
const bars: [string, boolean][] = [
  ['no crash', !crashed],
  [
    'no 5xx but 503',
    Object.keys(result.statuses).every((status) => Number(status) < 500 || status === '503'),
  ],
  ['no connection failed', result.failures === 0],
  ['memory within 10 % after the first minute', highest <= first * 1.1],
  ['p99 of admitted tiles under 2 s', result.tiles > 0 && result.p99 < 2000],
  ['health under 100 ms throughout', worstHealth < 100],
];
for (const [text, met] of bars) console.log(`${met ? 'met' : 'NOT MET'}: ${text}`);
if (crashed) console.log(server.output());
process.exitCode = bars.every(([, met]) => met) ? 0 : 1;
