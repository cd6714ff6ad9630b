import { readFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadSpeed } from './processor-speed.ts';

/** One thread of `processorSpeed`: what it reaches in its best call. */
const { seconds } = workerData as { readonly seconds: number };

interface PeakKernel {
  /** 64 * pairs multiply-adds a round. */
  multiplyAdd(rounds: number, pairs: number): number;
}

const PAIRS = 128;
const ROUNDS = 500;
const COPY_BYTES = 32 * 2 ** 20;

const bytes = await readFile(new URL('./peak.wasm', import.meta.url));
const { instance } = await WebAssembly.instantiate(new Uint8Array(bytes), {});
const kernel = instance.exports as unknown as PeakKernel;
const from = new Uint8Array(COPY_BYTES).fill(1);
const to = new Uint8Array(COPY_BYTES).fill(2);

const speed: ThreadSpeed = {
  gigaMacs: (64 * PAIRS * ROUNDS) / best(() => kernel.multiplyAdd(ROUNDS, PAIRS)) / 1e9,
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
