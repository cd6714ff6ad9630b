import type { Layer, Model } from '../../network/model.ts';
import type { WasmHeap } from './heap.ts';
import { type PackedLayer, packLayer } from './pack-layer.ts';
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
  const layers = (list: readonly Layer[]) => list.map((layer) => packLayer(layer, heap));
  return {
    analysis: layers(model.analysis),
    hyperAnalysis: layers(model.hyperAnalysis),
    hyperSynthesis: layers(model.hyperSynthesis),
    prior: model.prior.map((_, step) => packPriorStep(model, step, heap)),
    synthesis: layers(model.synthesis),
    symbols: packSymbols(model, heap),
  };
}
