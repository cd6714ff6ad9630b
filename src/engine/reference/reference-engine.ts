import { type ChunkNetworks, decodeChunk, encodeChunk } from '../../entropy/chunk.ts';
import { EngineError } from '../../errors.ts';
import { renderQuery } from '../../head/ensemble.ts';
import type { Layer, Model } from '../../network/model.ts';
import {
  analysisWindow,
  joinChannels,
  latentWindow,
  paddedExtent,
  scaledExtent,
  sitesOf,
  whole,
} from '../../network/window.ts';
import { expectBackpropagation, expectCover, expectGradient, expectQuality } from '../arguments.ts';
import type { Engine, Extent, FeatureMap, Patch, Rect } from '../engine.ts';
import { backpropagated } from './backpropagation.ts';
import { latentGradient } from './gradient.ts';
import { crop, planLayers, runLayer, runLayers } from './layers.ts';

/**
 * The reference engine: the specification in TypeScript, plain loops on the calling thread, no shortcuts for
 * speed. Layers are in layers.ts, chunks in src/entropy, the head in src/head/ensemble.ts. Other work runs
 * between layers.
 */
export function openReferenceEngine(model: Model): Engine {
  let closed = false;
  const networks = chunkNetworks(model);

  function enter(quality: number | undefined, signal: AbortSignal | undefined): void {
    if (closed) throw new EngineError('the engine is closed');
    signal?.throwIfAborted();
    if (quality !== undefined) expectQuality(model, quality);
  }

  async function run(
    layers: readonly Layer[],
    input: Patch,
    extent: Extent,
    output: Rect,
    quality: number,
    signal: AbortSignal | undefined,
  ): Promise<Int16Array> {
    let patch = input;
    for (const planned of planLayers(layers, extent, output)) {
      await breathe(signal);
      if (closed) throw new EngineError('the engine is closed');
      patch = runLayer(planned, patch, quality);
    }
    return patch.data;
  }

  return {
    name: 'reference',
    exact: true,
    model,
    threads: 1,

    async analyze(pixels, picture, latents, quality, signal) {
      enter(quality, signal);
      const window = analysisWindow(model, latents, picture);
      expectCover(pixels, window, 3, 'pixels');
      return run(
        model.analysis,
        crop(pixels, window),
        paddedExtent(model, picture),
        latents,
        quality,
        signal,
      );
    },

    async encodeChunk(analysis, chunk, quality, hyper, signal) {
      enter(quality, signal);
      await breathe(signal);
      return encodeChunk(analysis, chunk, quality, model, networks, hyper);
    },

    async decodeChunk(bytes, chunk, quality, signal) {
      enter(quality, signal);
      await breathe(signal);
      return decodeChunk(bytes, chunk, quality, model, networks);
    },

    async features(latents, level, sites, quality, signal) {
      enter(quality, signal);
      const window = latentWindow(model, sites, level);
      expectCover(latents, window, model.latentChannels, 'latents');
      const data = await run(model.synthesis, crop(latents, window), level, sites, quality, signal);
      return new HeldFeatures(data, sites, scaledExtent(level, model.latentStride));
    },

    async pixels(features, queries, signal) {
      enter(undefined, signal);
      const { rect, level } = features;
      const data = await features.read();
      const rasters = [];
      for (const query of queries) {
        await breathe(signal);
        rasters.push(renderQuery(model.head, { rect, level, data }, query));
      }
      return rasters;
    },

    async gradient(coded, level, latents, pixels, errorsOf, quality, signal) {
      enter(quality, signal);
      expectGradient(model, coded, level, latents, pixels);
      await breathe(signal);
      const window = latentWindow(model, sitesOf(model, latents), level);
      return latentGradient(model, crop(coded, window), level, latents, pixels, errorsOf, quality);
    },

    async backpropagate(network, input, extent, derivatives, quality, signal) {
      enter(quality, signal);
      const back = expectBackpropagation(model, network, input, extent, derivatives);
      await breathe(signal);
      return backpropagated(back, input, extent, derivatives, quality);
    },

    async close() {
      closed = true;
    },
  };
}

/** The networks of a chunk (spec 3.6) in plain loops. For them the chunk is the whole picture (3.5). */
function chunkNetworks(model: Model): ChunkNetworks {
  const run = (
    layers: readonly Layer[],
    data: Int16Array,
    channels: number,
    input: Extent,
    output: Extent,
    quality: number,
  ) => runLayers(layers, { rect: whole(input), channels, data }, input, whole(output), quality);
  return {
    hyperAnalysis(y, extent, quality) {
      const output = scaledExtent(extent, 1 / model.hyperStride);
      return run(model.hyperAnalysis, y, model.latentChannels, extent, output, quality).data;
    },
    hyperSynthesis(z, extent, quality) {
      const output = scaledExtent(extent, model.hyperStride);
      return run(model.hyperSynthesis, z, model.hyperChannels, extent, output, quality).data;
    },
    prior(step, h, y, extent, quality) {
      const { trunk, mean, deviation } = model.prior[step]!;
      const input = step === 0 ? h : joinChannels(h, model.priorChannels, y, model.latentChannels);
      const channels = step === 0 ? model.priorChannels : model.priorChannels + model.latentChannels;
      const { data, channels: width } = run(trunk, input, channels, extent, extent, quality);
      return {
        mean: run([mean], data, width, extent, extent, quality).data,
        deviation: run([deviation], data, width, extent, extent, quality).data,
      };
    },
  };
}

class HeldFeatures implements FeatureMap {
  readonly rect: Rect;
  readonly level: Extent;
  readonly byteLength: number;
  #data: Int16Array | undefined;

  constructor(data: Int16Array, rect: Rect, level: Extent) {
    this.rect = rect;
    this.level = level;
    this.byteLength = data.byteLength;
    this.#data = data;
  }

  async read(): Promise<Int16Array> {
    if (this.#data === undefined) throw new EngineError('the feature map is closed');
    return this.#data;
  }

  close(): void {
    this.#data = undefined;
  }
}

/** Lets other work run. Rejects with the signal's reason if it was aborted by then. */
async function breathe(signal: AbortSignal | undefined): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  signal?.throwIfAborted();
}
