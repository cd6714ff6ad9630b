import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { openImage, type RenderRequest } from '../../src/decode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { openTensorFlowEngine } from '../../src/engine/tensorflow/tensorflow-engine.ts';
import { loadModel } from '../../src/network/load.ts';
import { memorySource } from '../../src/reader/memory-source.ts';
import { exact, modelBytes, readVectors, type ValidVector } from '../format/vector-files.ts';

/**
 * Vectors of the small models: all kinds of pictures, and activations that saturate. With LIIF_ALL_VECTORS=1 also those of released models, and
 * all on the slow backend: minutes.
 */
const all = process.env.LIIF_ALL_VECTORS === '1';
const vectors = readVectors<ValidVector>('valid').filter(({ model }) => all || !model.startsWith('liif-'));
/** Pixels of a picture that the slow backend is given otherwise. */
const FEW_PIXELS = 10_000;
const backends = (['wasm', 'cpu', 'node'] as const).filter((backend) => backend !== 'node' || hasBinding());
/** One of 255, in samples of 8 and 16 bits. */
const ONE_LEVEL = { 8: 1, 16: 257 };

it('has vectors to test with', () => expect(vectors.length).toBeGreaterThan(20));

describe.each(backends)('TensorFlow.js on %s', (backend) => {
  const quickEnough = vectors.filter(({ header }) => {
    const { width, height } = header as { width: number; height: number };
    return all || backend !== 'cpu' || width * height <= FEW_PIXELS;
  });

  it.each(quickEnough)(
    'renders $name within 1 of 255',
    { timeout: all ? 600_000 : 60_000 },
    async (vector) => {
      const { reference, expected } = await exactRender(vector);
      const engine = await openTensorFlowEngine(reference.model, { exact: reference, backend });
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

const exactRenders = new Map<
  string,
  Promise<{ reference: Engine; expected: (Uint8Array | Uint16Array)[] }>
>();

/** What the reference engine makes of a vector, once for all backends, and that engine with the chunks it has decoded. */
function exactRender(vector: ValidVector) {
  const make = async () => {
    const reference = openReferenceEngine(await loadModel(modelBytes(vector.model)));
    const chunks = new Map<string, Promise<Int16Array>>();
    const remembering: Engine = {
      ...reference,
      decodeChunk(bytes, ...rest) {
        const key = [Buffer.from(bytes).toString('latin1'), JSON.stringify(rest.slice(0, 2))].join();
        const known = chunks.get(key) ?? reference.decodeChunk(bytes, ...rest);
        chunks.set(key, known);
        return known;
      },
      async close() {},
    };
    return { reference: remembering, expected: await render(vector, remembering) };
  };
  const known = exactRenders.get(vector.name) ?? make();
  exactRenders.set(vector.name, known);
  return known;
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
