import { Client } from 'undici';
import { seededRandom } from '../../../src/train/random.ts';
import { quantile } from '../table.ts';
import { loadPath } from './paths.ts';

// The clients of the soak test, in a process of their own. They send requests at a fixed rate, whether or not
// answers come. Prints a line of JSON at the end.

const [url, ratePerSecond, seconds] = process.argv.slice(2) as [string, string, string];
const RATE = Number(ratePerSecond);
const BEGIN = performance.now();
const END = BEGIN + Number(seconds) * 1000;
/** The rate rises to its full height in this time, since clients do not all come at once. */
const RISING_MS = 5000;
/**
 * Most clients, each on a connection of its own. A request that is due while all wait for answers is not
 * sent, but counted.
 */
const MOST_OPEN = 1000;
/** Share of the clients that hang up, and after how long at most. */
const LEAVING = 0.15;
const LEAVING_MS = 300;

export interface SoakResult {
  readonly sent: number;
  /** Requests that were due when all clients waited for answers. */
  readonly unsent: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly hungUp: number;
  readonly failures: number;
  readonly unexpected: readonly string[];
  readonly tiles: number;
  /** Milliseconds from the request to the end of a tile. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Milliseconds until a 503 was there: 99 of 100 sooner. */
  readonly refused99: number;
}

const random = seededRandom(20_26);
const idle: Client[] = [];
const statuses: Record<string, number> = {};
const tileTimes: number[] = [];
const refusedTimes: number[] = [];
const unexpected: string[] = [];
let clients = 0;
let sent = 0;
let unsent = 0;
let hungUp = 0;
let failures = 0;

function client(): Client | undefined {
  const free = idle.pop();
  if (free || clients >= MOST_OPEN) return free;
  clients++;
  return new Client(url, { headersTimeout: 60_000, bodyTimeout: 60_000 });
}

function unlike(text: string): void {
  if (unexpected.length < 20) unexpected.push(text);
}

function send(): void {
  const { path, tile } = loadPath(random);
  const leavesAfter = random() < LEAVING ? random() * LEAVING_MS : undefined;
  const used = client();
  if (!used) {
    unsent++;
    return;
  }
  sent++;
  const begun = performance.now();
  let status = 0;
  let left = false;
  let timer: NodeJS.Timeout | undefined;
  used.dispatch(
    { path, method: 'GET' },
    {
      onConnect(abort) {
        if (leavesAfter === undefined) return;
        timer = setTimeout(() => {
          left = true;
          hungUp++;
          abort(new Error('hung up'));
        }, leavesAfter);
      },
      onHeaders(code, headers) {
        status = code;
        statuses[code] = (statuses[code] ?? 0) + 1;
        if (![200, 304, 404, 413, 503].includes(code)) unlike(`${code} ${path}`);
        if (code === 503 && !headers.some((header) => /^retry-after$/i.test(String(header))))
          unlike(`503 without Retry-After ${path}`);
        return true;
      },
      onData: () => true,
      onComplete() {
        clearTimeout(timer);
        const ms = performance.now() - begun;
        if (status === 503) refusedTimes.push(ms);
        else if (tile && status === 200) tileTimes.push(ms);
        idle.push(used);
      },
      onError(error) {
        clearTimeout(timer);
        if (!left) {
          failures++;
          unlike(`${error.message} ${path}`);
        }
        idle.push(used);
      },
    },
  );
}

let due = BEGIN;
const timer = setInterval(() => {
  const now = performance.now();
  if (now >= END) {
    clearInterval(timer);
    // Time for the last answers.
    setTimeout(report, 3000);
    return;
  }
  const rate = RATE * Math.min(1, Math.max(0.02, (now - BEGIN) / RISING_MS));
  for (let i = 0; due < now && i < rate; i++, due += 1000 / rate) send();
  if (due < now) due = now;
}, 2);

function report(): void {
  const at = (times: readonly number[], share: number) => Math.round(quantile(times, share));
  const result: SoakResult = {
    sent,
    unsent,
    statuses,
    hungUp,
    failures,
    unexpected,
    tiles: tileTimes.length,
    p50: at(tileTimes, 0.5),
    p99: at(tileTimes, 0.99),
    max: at(tileTimes, 1),
    refused99: at(refusedTimes, 0.99),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exit(0);
}
