import { Agent, request } from 'node:http';
import { randomFrom } from './serve-setup.ts';

// The clients of the soak test, in a process of their own: requests at a fixed rate, whether or not answers come. Prints a line of JSON at the end.

const [url, ratePerSecond, seconds] = process.argv.slice(2) as [string, string, string];
const RATE = Number(ratePerSecond);
const END = performance.now() + Number(seconds) * 1000;
/** Beyond this many open requests clients would be refused by their own machine. */
const MAX_OPEN = 1000;

const random = randomFrom(20_26);
const agent = new Agent({ keepAlive: true, maxSockets: MAX_OPEN, scheduling: 'lifo' });
const statuses: Record<string, number> = {};
const tileTimes: number[] = [];
const unexpected: string[] = [];
let open = 0;
let hungUp = 0;
let failures = 0;
let sent = 0;

function pathOf(): { path: string; tile: boolean } {
  const kind = random();
  if (kind < 0.9) {
    const z = 1 + Math.floor(random() * 7);
    const side = 2 ** z;
    const format = ['jpg', 'jpg', 'webp', 'png'][Math.floor(random() * 4)];
    return {
      path: `/mosaic/${z}/${Math.floor(random() * side)}/${Math.floor(random() * side)}.${format}`,
      tile: true,
    };
  }
  if (kind < 0.94) {
    const side = 1000 + Math.floor(random() * 3000);
    return { path: `/iiif/3/mosaic/full/!${side},${side}/0/default.jpg`, tile: false };
  }
  if (kind < 0.96) return { path: '/iiif/3/mosaic/0,0,512,512/^20000,20000/0/default.png', tile: false };
  if (kind < 0.98) return { path: `/nothing${Math.floor(random() * 1000)}/0/0/0.png`, tile: false };
  return { path: '/iiif/3/mosaic/info.json', tile: false };
}

function send(): void {
  if (open >= MAX_OPEN) return;
  open++;
  sent++;
  const { path, tile } = pathOf();
  const leaves = random() < 0.15;
  const begun = performance.now();
  let over = false;
  const done = () => {
    if (!over) open--;
    over = true;
  };
  const made = request(url + path, { agent, timeout: 60_000 }, (response) => {
    const status = String(response.statusCode);
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (!['200', '304', '404', '413', '503'].includes(status) && unexpected.length < 20)
      unexpected.push(`${status} ${path}`);
    if (status === '503' && response.headers['retry-after'] === undefined)
      unexpected.push(`503 without Retry-After ${path}`);
    response.on('end', () => {
      if (tile && status === '200') tileTimes.push(performance.now() - begun);
      done();
    });
    response.on('close', done);
    response.on('error', done);
    response.resume();
  });
  made.on('error', () => {
    if (!leaves) failures++;
    done();
  });
  made.on('timeout', () => made.destroy(new Error('timeout')));
  made.end();
  if (leaves)
    setTimeout(() => {
      if (over) return;
      hungUp++;
      made.destroy();
      done();
    }, random() * 300);
}

let due = performance.now();
const timer = setInterval(() => {
  const now = performance.now();
  if (now >= END) {
    clearInterval(timer);
    // Those that are open get their answers.
    setTimeout(report, 3000);
    return;
  }
  for (let i = 0; due < now && i < RATE; i++, due += 1000 / RATE) send();
  if (due < now) due = now;
}, 5);

function report(): void {
  tileTimes.sort((a, b) => a - b);
  const at = (part: number) => Math.round(tileTimes[Math.floor(part * (tileTimes.length - 1))] ?? 0);
  process.stdout.write(
    `${JSON.stringify({ sent, statuses, hungUp, failures, unexpected, tiles: tileTimes.length, p50: at(0.5), p99: at(0.99), max: at(1) })}\n`,
  );
  process.exit(0);
}
