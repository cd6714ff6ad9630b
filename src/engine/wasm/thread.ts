import { decodeChunk, encodeChunk } from '../../entropy/chunk.ts';
import { EngineError, FormatError, isLiifError } from '../../errors.ts';
import type { Model } from '../../network/model.ts';
import type { EncodedChunk, Extent } from '../engine.ts';
import { KernelNetworks } from './chunk-networks.ts';
import type { PackedNetworks } from './pack.ts';
import { ABORT, controlWords, type Kernels, type Operation, runTogether } from './program.ts';

/** First message of a thread. The weights of `model` are left out: they lie in `memory`. */
export interface StartMessage {
  readonly kind: 'start';
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly networks: PackedNetworks;
  readonly model: Model;
}

/** One program, posted to every thread that takes part in it. */
export interface RunMessage {
  readonly kind: 'run';
  readonly operations: readonly Operation[];
  /** Address of its control words. */
  readonly control: number;
  readonly threads: number;
}

/** One chunk, which one thread codes alone. `scratch`: address of as many bytes as `chunkScratchBytes` says. */
export interface DecodeMessage {
  readonly kind: 'decode';
  readonly bytes: Uint8Array;
  readonly chunk: Extent;
  readonly quality: number;
  readonly scratch: number;
  readonly control: number;
}

export interface EncodeMessage {
  readonly kind: 'encode';
  readonly analysis: Int16Array;
  readonly chunk: Extent;
  readonly quality: number;
  readonly scratch: number;
  readonly control: number;
}

export type JobMessage = RunMessage | DecodeMessage | EncodeMessage;
export type ToThread = StartMessage | JobMessage;

export type JobResult = undefined | Int16Array | EncodedChunk;

/** Exactly one for every message: errors do not survive the way between threads, so their parts travel. */
export type FromThread =
  | { readonly kind: 'done'; readonly result: JobResult }
  | { readonly kind: 'format-error'; readonly byteOffset: number; readonly reason: string }
  | { readonly kind: 'error'; readonly message: string };

/** Handles messages one after the other. `post`: where answers go. */
export function serveThread(
  post: (message: FromThread, transfer: ArrayBuffer[]) => void,
): (message: ToThread) => void {
  let start: StartMessage | undefined;
  let kernels: Kernels | undefined;
  let chunkNetworks: KernelNetworks | undefined;

  const run = (message: ToThread): JobResult => {
    if (message.kind === 'start') {
      start = message;
      const instance = new WebAssembly.Instance(message.module, {
        env: { memory: message.memory, abort: () => {} },
      });
      kernels = instance.exports as unknown as Kernels;
      chunkNetworks = new KernelNetworks(kernels, message.memory, message.networks, message.model);
      return undefined;
    }
    const { memory, model } = start!;
    if (message.kind === 'run') {
      const words = controlWords(message.operations.length);
      const control = new Int32Array(memory.buffer, message.control, words);
      runTogether(kernels!, message.operations, control, message.threads);
      return undefined;
    }
    const { chunk, quality, scratch, control } = message;
    const networks = chunkNetworks!.at(scratch, () => {
      if (Atomics.load(new Int32Array(memory.buffer, control, 1), ABORT) !== 0)
        throw new EngineError('the call was aborted');
    });
    if (message.kind === 'decode') return decodeChunk(message.bytes, chunk, quality, model, networks);
    return encodeChunk(message.analysis, chunk, quality, model, networks);
  };

  return (message) => {
    try {
      const result = run(message);
      post({ kind: 'done', result }, transferable(result));
    } catch (error) {
      if (isLiifError(error, 'FormatError')) {
        const { byteOffset, reason } = error as FormatError;
        post({ kind: 'format-error', byteOffset, reason }, []);
      } else post({ kind: 'error', message: error instanceof Error ? error.message : String(error) }, []);
    }
  };
}

function transferable(result: JobResult): ArrayBuffer[] {
  if (result === undefined) return [];
  const arrays = 'latents' in result ? [result.latents, result.bytes] : [result];
  return arrays.map(({ buffer }) => buffer as ArrayBuffer);
}

/** The error that an answer stands for. */
export function errorOf(message: Exclude<FromThread, { kind: 'done' }>): Error {
  if (message.kind === 'format-error') return new FormatError('chunk', message.byteOffset, message.reason);
  return new EngineError(`The wasm engine failed: ${message.message}`);
}
