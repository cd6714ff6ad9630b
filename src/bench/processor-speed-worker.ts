import { parentPort, workerData } from 'node:worker_threads';
import { MACS_A_PAIR, startPlainKernel } from './plain-kernel.ts';
import type { ThreadSpeed, ThreadTask } from './processor-speed.ts';

/** One thread of `processorSpeed`. Posts the speed of its fastest calls. */
const { seconds, module } = workerData as ThreadTask;

const PAIRS = 128;
const ROUNDS = 500;
const COPY_BYTES = 32 * 2 ** 20;

const kernel = startPlainKernel(module);
const from = new Uint8Array(COPY_BYTES).fill(1);
const to = new Uint8Array(COPY_BYTES).fill(2);

const speed: ThreadSpeed = {
  gigaMacs: (MACS_A_PAIR * PAIRS * ROUNDS) / best(() => kernel.multiplyAdd(ROUNDS, PAIRS)) / 1e9,
  copyGigabytes: (2 * COPY_BYTES) / best(() => to.set(from)) / 1e9,
};
parentPort!.postMessage(speed);

/** Least time of a call, in seconds. */
function best(work: () => unknown): number {
  let least = Number.POSITIVE_INFINITY;
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    const start = performance.now();
    work();
    least = Math.min(least, (performance.now() - start) / 1000);
  }
  return least;
}
