import { pictureFlow, throughAll, trunkFlow, uniform } from '../../../network/flow.ts';
import type { Model } from '../../../network/model.ts';
import type { WasmHeap } from '../heap.ts';
import { type PackedLayer, packLayers } from './pack-layer.ts';
import { type PackedPriorStep, packPriorStep } from './pack-prior.ts';
import { type PackedSymbols, packSymbols } from './pack-symbols.ts';

/** The model's networks as addresses in wasm memory. Plain data, which can be sent to workers. */
export interface PackedNetworks {
  readonly analysis: readonly PackedLayer[];
  readonly hyperAnalysis: readonly PackedLayer[];
  readonly hyperSynthesis: readonly PackedLayer[];
  readonly prior: readonly PackedPriorStep[];
  readonly synthesis: readonly PackedLayer[];
  readonly symbols: PackedSymbols;
}

/** Copies all weights into wasm memory, which all threads share. */
export function packNetworks(model: Model, heap: WasmHeap): PackedNetworks {
  const { hyperSynthesis } = model;
  const latents = uniform(model.latentChannels, model.latent.limit);
  const hyperLatents = uniform(model.hyperChannels, model.hyper.limit);
  const context = throughAll(hyperSynthesis, hyperLatents);
  return {
    analysis: packLayers(model.analysis, pictureFlow(model.imageShift), heap),
    hyperAnalysis: packLayers(model.hyperAnalysis, latents, heap),
    hyperSynthesis: packLayers(hyperSynthesis, hyperLatents, heap),
    prior: model.prior.map((_, step) =>
      packPriorStep(model, step, trunkFlow(step, context.limits, latents.limits), heap),
    ),
    synthesis: packLayers(model.synthesis, latents, heap),
    symbols: packSymbols(model, heap),
  };
}
