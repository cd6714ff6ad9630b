import type { encodeChunk } from '../../../entropy/chunk.ts';
import { EngineError, FormatError, isLiifError, messageOf } from '../../../errors.ts';
import type { Model } from '../../../network/model.ts';
import type { EncodedChunk, Extent } from '../../engine.ts';
import type { PackedNetworks } from '../pack/pack.ts';
import { HYPER_ANALYSIS, HYPER_SYNTHESIS, networkCount } from '../program/chunk-plan.ts';
import { ChunkPlans } from '../program/chunk-plans.ts';
import { ChunkTeam, teamWords } from '../program/chunk-team.ts';
import { KernelChunk } from '../program/kernel-chunk.ts';
import { controlWords, type Kernels, type Operation, runTogether } from '../program/program.ts';

/** First message of a thread. `model` has no weights: they lie in `memory`. */
export interface StartMessage {
  readonly kind: 'start';
  readonly modules: readonly WebAssembly.Module[];
  readonly memory: WebAssembly.Memory;
  readonly networks: PackedNetworks;
  readonly model: Model;
  /** Address of the thread's own memory, SCRATCH_BYTES of it. */
  readonly scratch: number;
}

/** One program, posted to every thread that takes part in it. */
export interface RunMessage {
  readonly kind: 'run';
  readonly operations: readonly Operation[];
  /** Address of its control words. */
  readonly control: number;
  readonly threads: number;
}

interface ChunkMessage {
  readonly chunk: Extent;
  readonly quality: number;
  /** Address of its scratch memory, and the most kernel calls of a network: see `chunkNeeds`. */
  readonly scratch: number;
  readonly operations: number;
  /** Address of the control words of its team. */
  readonly control: number;
}

/** One chunk, which the thread decodes, leading the threads that help. */
export interface DecodeMessage extends ChunkMessage {
  readonly kind: 'decode';
  readonly bytes: Uint8Array;
  /**
   * Address of memory for `bytes` and READ_AHEAD_BYTES more. A chunk that is longer than any of its size can
   * be has less: it is refused before it is copied.
   */
  readonly words: number;
}

export interface EncodeMessage extends ChunkMessage {
  readonly kind: 'encode';
  readonly analysis: Int16Array;
  /** As for `Engine.encodeChunk`. */
  readonly hyper: Int16Array | undefined;
}

/** A chunk that another thread codes, and this one helps with. */
export interface HelpMessage extends ChunkMessage {
  readonly kind: 'help';
  /** Whether hyper analysis is the first network that runs. */
  readonly analyzes: boolean;
}

export type JobMessage = RunMessage | DecodeMessage | EncodeMessage | HelpMessage;
export type ToThread = StartMessage | JobMessage;

export type JobResult = undefined | Int16Array | EncodedChunk;

/**
 * The answer: exactly one for every message. `postMessage` does not keep the class of an error, so its parts
 * travel.
 */
export type FromThread =
  | { readonly kind: 'done'; readonly result: JobResult }
  | { readonly kind: 'format-error'; readonly byteOffset: number; readonly reason: string }
  | { readonly kind: 'error'; readonly message: string };

/** The result of a program that has stopped in the middle. */
const UNFINISHED = Symbol('unfinished');

/**
 * A thread's side: returns a function that handles a message. `post` sends answers. `encode` is left out in
 * pages, whose code then has no encoder.
 *
 * The handler returns whether it has answered. If not, the message was a program that this thread runs alone
 * and that has stopped after `sliceMs`: it goes on when the same message is handled again.
 */
export function serveThread(
  post: (message: FromThread, transfer: ArrayBuffer[]) => void,
  encode?: typeof encodeChunk,
  sliceMs = Number.POSITIVE_INFINITY,
): (message: ToThread) => boolean {
  let start: StartMessage | undefined;
  let kernels: Kernels | undefined;
  let plans: ChunkPlans | undefined;

  const run = (message: ToThread): JobResult | typeof UNFINISHED => {
    if (message.kind === 'start') {
      start = message;
      const env = { memory: message.memory, abort: () => {} };
      const exports = message.modules.map((module) => new WebAssembly.Instance(module, { env }).exports);
      kernels = Object.assign({}, ...exports) as Kernels;
      kernels.useScratch(message.scratch);
      plans = new ChunkPlans(message.networks, message.model);
      return undefined;
    }
    const { memory, model, networks } = start!;
    if (message.kind === 'run') {
      const words = controlWords(message.operations.length);
      const control = new Int32Array(memory.buffer, message.control, words);
      const until = performance.now() + sliceMs;
      const ended = runTogether(kernels!, message.operations, control, message.threads, undefined, until);
      return ended ? undefined : UNFINISHED;
    }
    const { chunk, quality, scratch, operations } = message;
    const count = networkCount(networks);
    const control = new Int32Array(memory.buffer, message.control, teamWords(count, operations));
    const team = new ChunkTeam(kernels!, control, count, operations);
    const { places, plan } = plans!.of(chunk, quality, scratch);
    if (message.kind === 'help') {
      team.help(message.analyzes ? HYPER_ANALYSIS : HYPER_SYNTHESIS, (number) => plan(number).operations);
      return undefined;
    }
    const run = (number: number, calls: readonly Operation[]) => team.lead(number, calls);
    const coding = new KernelChunk(memory, model, { chunk, quality, places, plan, run });
    try {
      if (message.kind === 'decode')
        return coding.decode(message.bytes, kernels!, networks.symbols, message.words);
      if (!encode) throw new Error('nothing is encoded here');
      return encode(message.analysis, chunk, quality, model, coding, message.hyper);
    } catch (error) {
      team.giveUp();
      throw error;
    }
  };

  return (message) => {
    try {
      const result = run(message);
      if (result === UNFINISHED) return false;
      post({ kind: 'done', result }, transferable(result));
    } catch (error) {
      if (isLiifError(error, 'FormatError')) {
        const { byteOffset, reason } = error;
        post({ kind: 'format-error', byteOffset, reason }, []);
      } else post({ kind: 'error', message: messageOf(error) }, []);
    }
    return true;
  };
}

function transferable(result: JobResult): ArrayBuffer[] {
  if (result === undefined) return [];
  const arrays =
    'latents' in result ? [result.latents, result.bytes, ...Object.values(result.rate)] : [result];
  return arrays.map(({ buffer }) => buffer as ArrayBuffer);
}

/** The error that an answer stands for. */
export function errorOf(message: Exclude<FromThread, { kind: 'done' }>): Error {
  if (message.kind === 'format-error') return new FormatError('chunk', message.byteOffset, message.reason);
  return new EngineError(`The wasm engine failed: ${message.message}`);
}
