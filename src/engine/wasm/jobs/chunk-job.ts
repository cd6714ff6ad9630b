import { READ_AHEAD_BYTES } from '../../../entropy/rans.ts';
import { maxChunkBytes, symbolCount } from '../../../network/chunk-size.ts';
import type { Model } from '../../../network/model.ts';
import type { Extent } from '../../engine.ts';
import type { WasmHeap } from '../heap.ts';
import type { PackedNetworks } from '../pack/pack.ts';
import { type ChunkNeeds, chunkNeeds, networkCount } from '../program/chunk-plan.ts';
import { teamWords } from '../program/chunk-team.ts';
import type { Job } from '../threads/job.ts';
import type { DecodeMessage, EncodeMessage } from '../threads/thread.ts';

/**
 * Rows of latents that each of the threads that share a chunk has at least: with fewer they wait for each
 * other more than they compute.
 */
const ROWS_PER_THREAD = 8;

/**
 * The memory for a chunk's bytes is a multiple of this, so that most chunks need as much, and lie where
 * earlier ones have lain.
 */
const STREAM_UNIT = 65_536;

/** What is done to a chunk, and with what. */
export type ChunkWork =
  | Pick<DecodeMessage, 'kind' | 'bytes'>
  | Pick<EncodeMessage, 'kind' | 'analysis' | 'hyper'>;

/** `T`: latents for a chunk that is decoded, EncodedChunk for one that is encoded. */
export type ChunkJobs = <T>(chunk: Extent, quality: number, work: ChunkWork) => Job<T>;

/**
 * Makes jobs that decode or encode one chunk: one thread leads, threads that have nothing else to do help it
 * (chunk-team.ts).
 */
export function chunkJobs(model: Model, networks: PackedNetworks, heap: WasmHeap): ChunkJobs {
  const needsOfChunks = new Map<string, ChunkNeeds>();

  function needsOf(chunk: Extent): ChunkNeeds {
    const key = `${chunk.height}x${chunk.width}`;
    let needs = needsOfChunks.get(key);
    if (needs === undefined) {
      needs = chunkNeeds(networks, model, chunk);
      needsOfChunks.set(key, needs);
    }
    return needs;
  }

  /**
   * Room for a chunk of `length` bytes. A chunk that is longer than any of its size can be is refused before
   * its bytes are copied.
   */
  function streamBytes(length: number, chunk: Extent): number {
    const most = maxChunkBytes(symbolCount(model, chunk));
    return Math.ceil((Math.min(most, length) + READ_AHEAD_BYTES) / STREAM_UNIT) * STREAM_UNIT;
  }

  return <T>(chunk: Extent, quality: number, work: ChunkWork): Job<T> => ({
    maxThreads: 1,
    begin() {
      const { scratchBytes, operations } = needsOf(chunk);
      const decodes = work.kind === 'decode';
      const bytes = scratchBytes + (decodes ? streamBytes(work.bytes.length, chunk) : 0);
      const words = teamWords(networkCount(networks), operations);
      const scratch = heap.allocate(bytes + 4 * words);
      const control = scratch + bytes;
      const place = { chunk, quality, scratch, operations, control };
      return {
        message: decodes ? { ...work, ...place, words: scratch + scratchBytes } : { ...work, ...place },
        transfer: decodes ? [work.bytes.buffer as ArrayBuffer] : [],
        help: { kind: 'help', analyzes: !decodes && work.hyper === undefined, ...place },
        maxHelpers: Math.ceil(chunk.height / ROWS_PER_THREAD) - 1,
        ...heap.control(control, words),
        finish: (result) => result as T,
        release: () => heap.free(scratch),
      };
    },
  });
}
