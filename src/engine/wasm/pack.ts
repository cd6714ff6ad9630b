import type { Model } from '../../network/model.ts';
import type { WasmHeap } from './heap.ts';
import { type PackedLayer, packLayers } from './pack-layer.ts';
import { type PackedPriorStep, packPriorStep } from './pack-prior.ts';
import { type PackedSymbols, packSymbols } from './pack-symbols.ts';

/** The model's networks as addresses in wasm memory. Plain data: it travels to workers. */
export interface PackedNetworks {
  readonly analysis: readonly PackedLayer[];
  readonly hyperAnalysis: readonly PackedLayer[];
  readonly hyperSynthesis: readonly PackedLayer[];
  readonly prior: readonly PackedPriorStep[];
  readonly synthesis: readonly PackedLayer[];
  readonly symbols: PackedSymbols;
}

/** Copies all weights into wasm memory, where every thread finds them. */
export function packNetworks(model: Model, heap: WasmHeap): PackedNetworks {
  const { imageShift, latent, hyper } = model;
  return {
    analysis: packLayers(model.analysis, 1 << (16 - imageShift), heap),
    hyperAnalysis: packLayers(model.hyperAnalysis, latent.limit, heap),
    hyperSynthesis: packLayers(model.hyperSynthesis, hyper.limit, heap),
    prior: model.prior.map((_, step) => packPriorStep(model, step, heap)),
    synthesis: packLayers(model.synthesis, latent.limit, heap),
    symbols: packSymbols(model, heap),
  };
}
