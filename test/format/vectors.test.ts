import { createHash } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { chunkExtent, chunkList, latentExtent, planeCount } from '../../src/container/chunks.ts';
import { openImage } from '../../src/decode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { nodeHost } from '../../src/engine/wasm/node-host.ts';
import { openWasmEngine } from '../../src/engine/wasm/wasm-engine.ts';
import { FormatError, UnsupportedError } from '../../src/errors.ts';
import { loadModel } from '../../src/network/load.ts';
import type { Model } from '../../src/network/model.ts';
import { memorySource } from '../../src/reader/memory-source.ts';
import type { Reader } from '../../src/reader/reader.ts';
import { python, runPythonDecoder } from './python.ts';
import {
  editedModelBytes,
  exact,
  type FaultyVector,
  modelBytes,
  readVectors,
  type TensorDigest,
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

/** Exact engines, and which vectors each is quick enough for. */
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

const sha256 = (data: ArrayBufferView) =>
  createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');

/** Latents of a whole level and plane, (H,W,C). */
async function allLatents(reader: Reader, engine: Engine, level: number, plane: number): Promise<Int16Array> {
  const { header } = reader;
  const { height, width } = latentExtent(header, level);
  const channels = engine.model.latentChannels;
  const latents = new Int16Array(height * width * channels);
  for (const id of chunkList(header)) {
    if (id.level !== level || id.plane !== plane) continue;
    const extent = chunkExtent(header, id);
    const chunk = await engine.decodeChunk(await reader.readChunk(id), extent, header.quality);
    const length = extent.width * channels;
    for (let y = 0; y < extent.height; y++) {
      const row = id.row * header.chunkSize + y;
      latents.set(
        chunk.subarray(y * length, (y + 1) * length),
        (row * width + id.column * header.chunkSize) * channels,
      );
    }
  }
  return latents;
}

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
    const image = await openImage(vector.bytes, { engine, featureCacheBytes: 2 ** 26 });
    const { header, reader } = image;
    expect({
      ...header,
      model: Buffer.from(header.model).toString('hex'),
      sections: header.sections.map(({ type, length, crc }) => [type, length, crc]),
    }).toEqual(vector.header);

    const latents: TensorDigest[] = [];
    const sites: TensorDigest[] = [];
    for (let level = 0; level < header.levels; level++) {
      for (let plane = 0; plane < planeCount(header); plane++) {
        const extent = latentExtent(header, level);
        const channels = engine.model.latentChannels;
        const data = await allLatents(reader, engine, level, plane);
        latents.push({ level, plane, shape: [extent.height, extent.width, channels], sha256: sha256(data) });
        const rect = { top: 0, left: 0, height: extent.height * 16, width: extent.width * 16 };
        const map = await engine.features(
          { rect: { top: 0, left: 0, ...extent }, channels, data },
          extent,
          rect,
          header.quality,
        );
        const { hidden } = engine.model.head;
        sites.push({
          level,
          plane,
          shape: [rect.height, rect.width, hidden],
          sha256: sha256(await map.read()),
        });
        map.close();
      }
    }
    expect(latents).toEqual(vector.latents);
    expect(sites).toEqual(vector.sites);

    for (const [type, digest] of Object.entries(vector.sectionDigests))
      expect(sha256((await reader.readSection(type))!)).toBe(digest);

    for (const { region, size, depth, channels, sha256: digest, pixels } of vector.queries) {
      const [x, y, width, height] = region.map(exact) as [never, never, never, never];
      const raster = await image.render({
        region: { x, y, width, height },
        width: size[0],
        height: size[1],
        depth,
        allowOutside: true,
      });
      expect(raster.channels).toBe(channels);
      for (const [column, row, ...samples] of pixels) {
        const at = (row! * raster.width + column!) * channels;
        const place = `${region} at ${size}, pixel ${column},${row}`;
        expect([...raster.data.subarray(at, at + channels)], place).toEqual(samples);
      }
      expect(sha256(raster.data), `${region} at ${size}`).toBe(digest);
    }
    await image.close();
  });
});

/** Opens, and decodes or reads every chunk and section: the first error. */
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
