import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { openImage } from '../../../src/decode.ts';
import type { Engine } from '../../../src/engine/engine.ts';
import { openTensorFlowEngine } from '../../../src/engine/tensorflow/tensorflow-engine.ts';
import { nodeHost } from '../../../src/engine/wasm/threads/node-host.ts';
import { openWasmEngine } from '../../../src/engine/wasm/wasm-engine.ts';
import { loadModel } from '../../../src/network/load.ts';
import { memorySource } from '../../../src/reader/memory-source.ts';
import type { RenderRequest } from '../../../src/render-request.ts';
import { exact, modelBytes, readVectors, type ValidVector } from '../../format/vector-files.ts';

/** With LIIF_ALL_VECTORS=1 every backend gets all of them: minutes. */
const all = process.env.LIIF_ALL_VECTORS === '1';
const vectors = readVectors<ValidVector>('valid');
/** Pixels of a picture that the slow backend is given otherwise. */
const FEW_PIXELS = 10_000;
const backends = (['wasm', 'cpu', 'node'] as const).filter((backend) => backend !== 'node' || hasBinding());
/** One of 255, in samples of 8 and 16 bits. */
const ONE_LEVEL = { 8: 1, 16: 257 };

it('has vectors to test with', () => expect(vectors.length).toBeGreaterThan(20));

describe.each(backends)('TensorFlow.js on %s', (backend) => {
  const quickEnough = vectors.filter(({ model, header }) => {
    const { width, height } = header as { width: number; height: number };
    const small = width * height <= FEW_PIXELS && !model.startsWith('liif-');
    return all || backend !== 'cpu' || small;
  });

  it.each(quickEnough)(
    'renders $name within 1 of 255',
    { timeout: all ? 600_000 : 60_000 },
    async (vector) => {
      const { exact: coder, expected } = await exactRender(vector);
      const engine = await openTensorFlowEngine(coder.model, { exact: coder, backend });
      const rendered = await render(vector, engine);
      for (const [i, { depth, size }] of vector.queries.entries()) {
        const [a, b] = [expected[i]!, rendered[i]!];
        expect(b.length).toBe(a.length);
        let largest = 0;
        for (let at = 0; at < a.length; at++) largest = Math.max(largest, Math.abs(a[at]! - b[at]!));
        expect(largest, `${size.join(' x ')} of ${depth} bits`).toBeLessThanOrEqual(ONE_LEVEL[depth]);
      }
      await engine.close();
    },
  );
});

const exactRenders = new Map<string, Promise<{ exact: Engine; expected: (Uint8Array | Uint16Array)[] }>>();

/** What the wasm engine, which has the bytes of the reference, makes of a vector; once for all backends. */
function exactRender(vector: ValidVector) {
  const make = async () => {
    const model = await loadModel(modelBytes(vector.model));
    const wasm = await openWasmEngine(model, { host: nodeHost, threads: 0 });
    // The engine under test closes what it is given; here it is needed again.
    const exact = unclosed(wasm);
    return { exact, expected: await render(vector, exact) };
  };
  const known = exactRenders.get(vector.name) ?? make();
  exactRenders.set(vector.name, known);
  return known;
}

function unclosed(engine: Engine): Engine {
  const { name, exact, model, threads } = engine;
  return {
    name,
    exact,
    model,
    threads,
    analyze: (...call) => engine.analyze(...call),
    encodeChunk: (...call) => engine.encodeChunk(...call),
    decodeChunk: (...call) => engine.decodeChunk(...call),
    features: (...call) => engine.features(...call),
    pixels: (...call) => engine.pixels(...call),
    gradient: (...call) => engine.gradient(...call),
    backpropagate: (...call) => engine.backpropagate(...call),
    async close() {},
  };
}

function hasBinding(): boolean {
  try {
    createRequire(import.meta.url).resolve('@tensorflow/tfjs-node');
    return true;
  } catch {
    return false;
  }
}

async function render(vector: ValidVector, engine: Engine): Promise<(Uint8Array | Uint16Array)[]> {
  const image = await openImage(memorySource(vector.bytes), { engine, featureCacheBytes: 2 ** 26 });
  const rasters = [];
  for (const { region, size, depth } of vector.queries) {
    const [x, y, width, height] = region.map(exact);
    const request = {
      region: { x, y, width, height },
      width: size[0],
      height: size[1],
      depth,
      allowOutside: true,
    } as RenderRequest;
    rasters.push((await image.render(request)).data);
  }
  await image.close();
  return rasters;
}
