import { request } from 'node:http';
import { setPriority } from 'node:os';

// Asks for /health as a balancer does, each time on a new connection, in a process of its own. Measures how
// late this process itself is, too, since that is no fault of the server. Prints a line of JSON when its
// input ends.

const url = process.argv[2]!;
const EVERY_MS = 200;
const TICK_MS = 5;

export interface HealthResult {
  /** Milliseconds until the answer was there, in the order they were asked; null where none came. */
  readonly times: readonly (number | null)[];
  /** Milliseconds for which this process was kept from running while it waited for each. */
  readonly own: readonly number[];
}

try {
  setPriority(-10); // it needs little processor time, but needs it on time
} catch {
  // Only root may. Without it this process is later, which its figures show.
}

let lastTick = performance.now();
let late = 0;
setInterval(() => {
  const now = performance.now();
  late += Math.max(0, now - lastTick - 2 * TICK_MS);
  lastTick = now;
}, TICK_MS);

function askHealth(): Promise<number | null> {
  const asked = performance.now();
  return new Promise((resolve) => {
    const sent = request(`${url}/health`, { agent: false, timeout: 10_000 }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode === 200 ? performance.now() - asked : null));
      response.on('error', () => resolve(null));
    });
    sent.on('error', () => resolve(null));
    sent.on('timeout', () => sent.destroy());
    sent.end();
  });
}

const times: (number | null)[] = [];
const own: number[] = [];
process.stdin.on('end', () => {
  const result: HealthResult = { times, own };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
});
process.stdin.resume();
for (;;) {
  const before = late;
  times.push(await askHealth());
  own.push(late - before);
  await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
}
