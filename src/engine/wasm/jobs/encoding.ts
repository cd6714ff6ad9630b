import type { Model } from '../../../network/model.ts';
import { analysisWindow, paddedExtent } from '../../../network/window.ts';
import { expectBackpropagation, expectCover, expectEncoder, expectErrors } from '../../arguments.ts';
import type { EncodedChunk, Engine } from '../../engine.ts';
import type { Region, WasmHeap } from '../heap.ts';
import type { PackedNetworks } from '../pack/pack.ts';
import type { ThreadPool } from '../threads/thread-pool.ts';
import { backpropagationJob } from './backpropagation-job.ts';
import type { ChunkJobs } from './chunk-job.ts';
import { gradientJobs } from './gradient-job.ts';
import { headJob } from './head-job.ts';
import { layersJob } from './layers-job.ts';

/** The calls of an engine that only encoders need. */
export type Encoding = Pick<Engine, 'analyze' | 'encodeChunk' | 'gradient' | 'backpropagate'>;

/** The engine that these calls belong to, as far as they use it. */
export interface EngineParts {
  readonly model: Model;
  readonly heap: WasmHeap;
  readonly networks: PackedNetworks;
  readonly pool: ThreadPool;
  readonly threads: number;
  readonly chunkJob: ChunkJobs;
  /** Throws what a call with this quality and signal rejects with. */
  enter(quality: number, signal: AbortSignal | undefined): void;
}

/** A file apart from the engine, so that pages, which do not encode, need not fetch it. */
export function encoding({ model, heap, networks, pool, threads, chunkJob, enter }: EngineParts): Encoding {
  return {
    async analyze(pixels, picture, latents, quality, signal) {
      enter(quality, signal);
      expectEncoder(model);
      expectCover(pixels, analysisWindow(model, latents, picture), 3, 'pixels');
      const call = {
        layers: networks.analysis,
        input: pixels,
        extent: paddedExtent(model, picture),
        window: latents,
        channels: model.latentChannels,
        quality,
      };
      const take = (output: Region) => {
        const data = heap.read(output, latents);
        heap.free(output.address);
        return data;
      };
      return pool.run(layersJob(heap, threads, call, take), signal);
    },

    async encodeChunk(analysis, chunk, quality, hyper, signal) {
      enter(quality, signal);
      expectEncoder(model);
      return pool.run(chunkJob<EncodedChunk>(chunk, quality, { kind: 'encode', analysis, hyper }), signal);
    },

    async gradient(coded, level, latents, pixels, errorsOf, quality, signal) {
      enter(quality, signal);
      const jobs = gradientJobs(
        heap,
        model,
        networks.synthesis,
        { coded, level, latents, pixels, quality },
        threads,
      );
      const shown = await pool.run(jobs.there, signal);
      try {
        const head = headJob(heap, model.head, shown, [jobs.query], threads);
        const [samples] = await pool.run(head, signal);
        return await pool.run(jobs.back(shown, expectErrors(errorsOf(samples!), pixels)), signal);
      } finally {
        shown.close();
      }
    },

    async backpropagate(network, input, extent, derivatives, quality, signal) {
      enter(quality, signal);
      const back = expectBackpropagation(model, network, input, extent, derivatives);
      return pool.run(backpropagationJob(heap, back, input, extent, derivatives, quality, threads), signal);
    },
  };
}
