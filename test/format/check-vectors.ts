/**
 * Decodes valid vectors with one engine, without a fallback to another: for engines that are too slow for CI,
 * and for machines with a graphics card.
 *
 *     npm run vectors:check -- --engine webgpu|wasm|reference [--software] [VECTOR...]
 *
 * VECTOR is the beginning of a vector's name. Without any, all vectors are decoded. With --software, WebGPU
 * computes on the processor, by Chromium's SwiftShader. Prints a line for each vector, then how many have
 * equal latents, sites, sections and pixels. Ends with code 1 if any differs.
 */
import { isDeepStrictEqual, parseArgs } from 'node:util';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { openNodeWebGpu } from '../../src/engine/webgpu/node-gpu.ts';
import { loadModel } from '../../src/network/load.ts';
import { useSwiftShader } from '../engine/webgpu/swiftshader.ts';
import { decodeVector, expectedFindings } from './decode-vector.ts';
import { modelBytes, readVectors, type ValidVector } from './vector-files.ts';

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: { engine: { type: 'string' }, software: { type: 'boolean', default: false } },
});
const { engine: engineName } = options;
if (engineName !== 'webgpu' && engineName !== 'wasm' && engineName !== 'reference') {
  process.stderr.write(
    'Usage: npm run vectors:check -- --engine webgpu|wasm|reference [--software] [VECTOR...]\n',
  );
  process.exit(2);
}
if (options.software) useSwiftShader();

const vectors = readVectors<ValidVector>('valid').filter(
  ({ name }) => names.length === 0 || names.some((start) => name.startsWith(start)),
);
const engines = new Map<string, Engine>();
const seconds = (from: number) => ((performance.now() - from) / 1000).toFixed(1);
const start = performance.now();
let equal = 0;
for (const vector of vectors) {
  let engine = engines.get(vector.model);
  if (!engine) {
    engine = await openAlone(vector.model);
    engines.set(vector.model, engine);
  }
  const began = performance.now();
  const found = await decodeVector(vector, engine);
  const same = isDeepStrictEqual(found, expectedFindings(vector));
  if (same) equal++;
  process.stdout.write(`${same ? 'equal  ' : 'DIFFERS'} ${vector.name} ${seconds(began)} s\n`);
}
const device = [...engines.values()][0]?.device ?? 'the processor';
process.stdout.write(
  `${equal} of ${vectors.length} vectors equal in every byte, by ${engineName} on ${device}, in ${seconds(start)} s\n`,
);
process.exit(equal === vectors.length ? 0 : 1);

async function openAlone(model: string): Promise<Engine> {
  const loaded = await loadModel(modelBytes(model));
  if (engineName !== 'webgpu') return openEngine(loaded, { engine: engineName as 'wasm' | 'reference' });
  const cpu = await openEngine(loaded, { engine: 'wasm' });
  return openNodeWebGpu(loaded, cpu, { chunksOn: 'device' });
}
