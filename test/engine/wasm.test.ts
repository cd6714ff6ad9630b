import { describe } from 'vitest';
import { nodeHost } from '../../src/engine/wasm/node-host.ts';
import { openWasmEngine } from '../../src/engine/wasm/wasm-engine.ts';
import { runEngineTests } from './conformance.ts';

describe.each([0, 3])('wasm on %i threads', (threads) => {
  runEngineTests({ openEngine: (model) => openWasmEngine(model, { host: nodeHost, threads }) });
});
