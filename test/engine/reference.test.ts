import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { MODELS, runEngineTests } from './conformance.ts';

// Against itself: that the contract is one that can be met.
runEngineTests({ openEngine: async (model) => openReferenceEngine(model), models: MODELS.slice(0, 1) });
