/**
 * The kernel that engines are compared with: dense multiply-adds of int16 in WebAssembly SIMD, on data in the
 * first-level cache.
 */
export interface PlainKernel {
  /** MACS_A_PAIR * pairs multiply-adds per round. */
  multiplyAdd(rounds: number, pairs: number): number;
}

export const MACS_A_PAIR = 64;

/** The kernel for the calling thread. `module` is from `compilePlainKernel`. */
export function startPlainKernel(module: WebAssembly.Module): PlainKernel {
  return new WebAssembly.Instance(module).exports as unknown as PlainKernel;
}
