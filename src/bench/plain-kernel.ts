import { readFile } from 'node:fs/promises';

/** What speed is held against: dense multiply-adds of int16 in WebAssembly SIMD, on data in the first-level cache. */
export interface PlainKernel {
  /** MACS_A_PAIR * pairs multiply-adds a round. */
  multiplyAdd(rounds: number, pairs: number): number;
}

export const MACS_A_PAIR = 64;

/** The kernel, for the calling thread. */
export async function openPlainKernel(): Promise<PlainKernel> {
  const code = await readFile(new URL('./peak.wasm', import.meta.url));
  const { instance } = await WebAssembly.instantiate(new Uint8Array(code), {});
  return instance.exports as unknown as PlainKernel;
}
