import { EngineError } from '../../errors.ts';
import { cut } from '../../network/window.ts';
import type { Extent, Patch, Rect } from '../engine.ts';
import { ABORT } from './program/program.ts';

const PAGE = 65_536;
const ALIGNMENT = 64;

/**
 * A tensor (rect.height, rect.width, channels) of int16 in wasm memory. Its rect may reach one site beyond
 * the picture, where it holds zeros.
 */
export interface Region {
  readonly address: number;
  readonly rect: Rect;
  readonly channels: number;
}

/** Free ranges of an address space, first fit. Addresses are multiples of 64; 0 is never handed out. */
export class FreeList {
  readonly #free: { start: number; end: number }[] = [];
  readonly #used = new Map<number, number>();
  #end: number;

  constructor(start: number) {
    this.#end = align(Math.max(start, ALIGNMENT));
  }

  /** One beyond the highest address that was handed out. */
  get end(): number {
    return this.#end;
  }

  allocate(byteLength: number): number {
    const length = align(Math.max(1, byteLength));
    const fit = this.#free.findIndex((range) => range.end - range.start >= length);
    if (fit < 0) {
      const last = this.#free.at(-1);
      const start = last?.end === this.#end ? last.start : this.#end;
      if (start !== this.#end) this.#free.pop();
      this.#end = start + length;
      this.#used.set(start, length);
      return start;
    }
    const range = this.#free[fit]!;
    const { start } = range;
    range.start += length;
    if (range.start === range.end) this.#free.splice(fit, 1);
    this.#used.set(start, length);
    return start;
  }

  free(start: number): void {
    const length = this.#used.get(start);
    if (length === undefined) throw new Error(`nothing is allocated at ${start}`);
    this.#used.delete(start);
    const end = start + length;
    let at = 0;
    while (at < this.#free.length && this.#free[at]!.start < start) at++;
    this.#free.splice(at, 0, { start, end });
    const here = this.#free[at]!;
    const next = this.#free[at + 1];
    if (next?.start === here.end) {
      here.end = next.end;
      this.#free.splice(at + 1, 1);
    }
    const before = this.#free[at - 1];
    if (before?.end === here.start) {
      before.end = here.end;
      this.#free.splice(at, 1);
    }
  }

  /** Forgets free addresses at the end, as if they had never been handed out. */
  trim(): void {
    const last = this.#free.at(-1);
    if (last?.end !== this.#end) return;
    this.#end = last.start;
    this.#free.pop();
  }
}

/**
 * The engine's WebAssembly memory: weights, feature maps, scratch of running jobs. It grows on demand, never
 * shrinks, and reuses what is freed.
 */
export class WasmHeap {
  readonly memory: WebAssembly.Memory;
  readonly #list = new FreeList(PAGE);
  readonly #maxBytes: number;

  constructor(shared: boolean, maxBytes: number) {
    this.#maxBytes = Math.ceil(maxBytes / PAGE) * PAGE;
    // The maximum has to be the one that the kernels declare. Only pages that the memory has grown to are
    // committed.
    this.memory = new WebAssembly.Memory({ initial: 1, maximum: 65_536, shared });
  }

  /** Throws EngineError for more than fits now. It may fit when other work has ended. */
  allocate(byteLength: number): number {
    const start = this.#list.allocate(byteLength);
    const missing = this.#list.end - this.memory.buffer.byteLength;
    if (missing > 0) {
      try {
        if (this.#list.end > this.#maxBytes) throw new RangeError(`more than ${this.#maxBytes} bytes`);
        this.memory.grow(Math.ceil(missing / PAGE));
      } catch (cause) {
        this.#list.free(start);
        this.#list.trim();
        throw new EngineError(`The wasm engine has no memory for ${byteLength} more bytes`, { cause });
      }
    }
    return start;
  }

  free(start: number): void {
    this.#list.free(start);
  }

  /** Clears the control words of a program (program.ts). The result aborts it. */
  control(address: number, words: number): { abort(): void } {
    new Int32Array(this.memory.buffer, address, words).fill(0);
    // A new view at each abort: growing may have replaced the buffer.
    return { abort: () => void Atomics.store(new Int32Array(this.memory.buffer, address, 1), ABORT, 1) };
  }

  /** A copy of `window`, which lies inside the region. */
  read({ address, rect, channels }: Region, window: Rect): Int16Array {
    const source = new Int16Array(this.memory.buffer, address, rect.height * rect.width * channels);
    return cut(source, rect, window, channels);
  }

  /** Fills a region: with the patch inside the picture of `extent`, with zeros beyond it. */
  write({ address, rect, channels }: Region, patch: Patch, extent: Extent): void {
    const target = new Int16Array(this.memory.buffer, address, rect.height * rect.width * channels);
    const left = Math.max(0, rect.left);
    const right = Math.min(extent.width, rect.left + rect.width);
    for (let row = rect.top; row < rect.top + rect.height; row++) {
      const to = (row - rect.top) * rect.width * channels;
      if (row < 0 || row >= extent.height) {
        target.fill(0, to, to + rect.width * channels);
        continue;
      }
      target.fill(0, to, to + (left - rect.left) * channels);
      target.fill(0, to + (right - rect.left) * channels, to + rect.width * channels);
      const from = ((row - patch.rect.top) * patch.rect.width + left - patch.rect.left) * channels;
      const run = patch.data.subarray(from, from + (right - left) * channels);
      target.set(run, to + (left - rect.left) * channels);
    }
  }
}

function align(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}
