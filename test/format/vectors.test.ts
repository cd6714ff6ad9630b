import { afterAll, describe, expect, it } from 'vitest';
import { chunkExtent, chunkList } from '../../src/container/chunks.ts';
import { openImage } from '../../src/decode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { nodeHost } from '../../src/engine/wasm/threads/node-host.ts';
import { openWasmEngine } from '../../src/engine/wasm/wasm-engine.ts';
import { FormatError, UnsupportedError } from '../../src/errors.ts';
import { loadModel } from '../../src/network/load.ts';
import type { Model } from '../../src/network/model.ts';
import { memorySource } from '../../src/reader/memory-source.ts';
import { decodeVector, expectedFindings } from './decode-vector.ts';
import { python, runPythonDecoder } from './python.ts';
import {
  editedModelBytes,
  type FaultyVector,
  modelBytes,
  readVectors,
  type ValidVector,
  vectorPaths,
} from './vector-files.ts';

/** Every vector of format-spec/vectors, through this decoder and through the one in Python. */

const valid = readVectors<ValidVector>('valid');
const invalid = readVectors<FaultyVector>('invalid');
const unsupported = readVectors<FaultyVector>('unsupported');
const stages = readVectors<object>('stages');

const models = new Map<string, Promise<Model>>();
function modelOf(name: string): Promise<Model> {
  if (!models.has(name)) models.set(name, loadModel(modelBytes(name)));
  return models.get(name)!;
}

/** The exact engines, and the vectors for which each is fast enough. */
const ENGINES: readonly {
  name: string;
  open: (model: Model) => Promise<Engine>;
  runs: (vector: ValidVector) => boolean;
}[] = [
  {
    name: 'reference',
    open: async (model) => openReferenceEngine(model),
    runs: ({ name }) => !name.startsWith('released-') || name === 'released-photograph',
  },
  {
    name: 'wasm',
    open: (model) => openWasmEngine(model, { host: nodeHost, threads: 0 }),
    runs: () => true,
  },
];

describe.each(ENGINES)('the $name engine', ({ open, runs }) => {
  const engines = new Map<string, Promise<Engine>>();
  const engineFor = (model: string) => {
    const engine = engines.get(model) ?? modelOf(model).then(open);
    engines.set(model, engine);
    return engine;
  };
  afterAll(async () => {
    for (const engine of engines.values()) await (await engine).close();
  });

  it.each(valid.filter(runs))('decodes $name as the second decoder does', async (vector) => {
    const engine = await engineFor(vector.model);
    expect(await decodeVector(vector, engine)).toEqual(expectedFindings(vector));
  });
});

/** The first error in opening a file and in decoding or reading all its chunks and sections. */
async function firstError(vector: FaultyVector): Promise<unknown> {
  try {
    const model = vector.modelEdits ? await loadModel(editedModelBytes(vector)) : await modelOf(vector.model);
    const engine = openReferenceEngine(model);
    const { reader } = await openImage(memorySource(vector.bytes), { engine });
    for (const id of chunkList(reader.header)) {
      const bytes = await reader.readChunk(id);
      await engine
        .decodeChunk(bytes, chunkExtent(reader.header, id), reader.header.quality)
        .catch((error: unknown) => {
          throw reader.located(id, error);
        });
    }
    for (const { type } of reader.header.sections) await reader.readSection(type);
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('an invalid vector', () => {
  it.each(invalid)('$name is refused, naming part and offset', async (vector) => {
    if (vector.error.tag !== 'FormatError') throw new Error(vector.error.tag);
    const error = await firstError(vector);
    expect(error).toBeInstanceOf(FormatError);
    const { section, byteOffset, message } = error as FormatError;
    expect(section, message).toBe(vector.error.part);
    expect(byteOffset, message).toBeGreaterThanOrEqual(vector.error.offset[0]);
    expect(byteOffset, message).toBeLessThanOrEqual(vector.error.offset[1]);
  });
});

describe('an unsupported vector', () => {
  it.each(unsupported)('$name is refused as unsupported', async (vector) => {
    expect(vector.error).toEqual({ tag: 'UnsupportedError' });
    expect(await firstError(vector)).toBeInstanceOf(UnsupportedError);
  });
});

describe('the folder of vectors', () => {
  it('holds no file that nobody reads, and none of every kind is missing', () => {
    const read = ['README.md'];
    for (const [group, vectors] of Object.entries({ valid, invalid, unsupported, stages })) {
      expect(vectors.length, group).toBeGreaterThan(5);
      for (const { name, bytes } of vectors) {
        read.push(`${group}/${name}.json`);
        if (bytes.length > 0 || name === '01-empty') read.push(`${group}/${name}.liif`);
      }
    }
    for (const model of new Set([...valid, ...invalid, ...unsupported].map((vector) => vector.model)))
      if (model !== 'liif-1.safetensors') read.push(`models/${model}`);
    expect(vectorPaths()).toEqual(read.sort());
  });

  it('stays small', () => {
    const bytes = [...valid, ...invalid, ...unsupported].reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(bytes).toBeLessThan(2 ** 20);
  });
});

describe.skipIf(python === undefined)('the second decoder (needs python3 with numpy)', () => {
  it('agrees with every vector', async () => {
    const { code, stdout } = await runPythonDecoder('vectors');
    const lines = stdout.split('\n');
    const agreed = lines.map((line) => /^ok +(\S+) /.exec(line)?.[1]).filter((name) => name !== undefined);
    const all = Object.entries({ valid, invalid, unsupported, stages }).flatMap(([group, vectors]) =>
      vectors.map(({ name }) => `${group}/${name}`),
    );
    expect(lines.filter((line) => /^(FAILED|Traceback)/.test(line))).toEqual([]);
    expect(agreed.sort()).toEqual(all.sort());
    expect(code).toBe(0);
  }, 120_000);
});
