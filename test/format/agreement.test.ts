import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chunkExtent, chunkList } from '../../src/container/chunks.ts';
import { crcOf } from '../../src/container/crc32c.ts';
import { openImage } from '../../src/decode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { isLiifError } from '../../src/errors.ts';
import { loadModel } from '../../src/network/load.ts';
import { concat, littleEndian, noise, pack, Raw, seeded } from '../container/sample-file.ts';
import { tinyModelBytes, tinyModelParts, writeModel } from '../fixtures/tiny-model.ts';
import { python, runPythonDecoder } from './python.ts';
import { modelBytes, readVectors, type ValidVector, VECTORS } from './vector-files.ts';

/**
 * Both decoders on files that neither has seen: a valid file, changed at random, with all CRCs made right.
 * They accept the same files, with the same latents and pixels, and refuse the others for the same part.
 */

const ROUNDS = Number(process.env.LIIF_AGREEMENT_ROUNDS ?? 250);

const source = readVectors<ValidVector>('valid').find(({ name }) => name.endsWith('-alpha'))!;
const { bytes: original } = source;
const view = new DataView(original.buffer, original.byteOffset);
const headerEnd = 16 + view.getUint32(12, true);
const firstChunk = Number(view.getBigUint64(headerEnd + 4, true));

/** The file of these parts, with the CRCs that belong there. */
function assemble(header: Uint8Array, chunks: readonly Uint8Array[], entry?: (line: Uint8Array) => void) {
  const prefix = concat(original.subarray(0, 12), littleEndian(header.length, 4), header);
  let offset = prefix.length + 4 + 16 * chunks.length + 4;
  const index = concat(
    ...chunks.map((chunk) => {
      const line = concat(
        littleEndian(offset, 8),
        littleEndian(chunk.length, 4),
        littleEndian(crcOf(chunk), 4),
      );
      offset += chunk.length;
      entry?.(line);
      return line;
    }),
  );
  return concat(prefix, littleEndian(crcOf(prefix), 4), index, littleEndian(crcOf(index), 4), ...chunks);
}

const header = original.slice(16, headerEnd);
const lengths = [0, 1].map((i) => view.getUint32(headerEnd + 4 + 16 * i + 8, true));
const chunks = [
  original.slice(firstChunk, firstChunk + lengths[0]!),
  original.slice(firstChunk + lengths[0]!, firstChunk + lengths[0]! + lengths[1]!),
];

const VALUES: readonly unknown[] = [
  0,
  1,
  2,
  3,
  4,
  7,
  8,
  16,
  24,
  40,
  64,
  65,
  100,
  101,
  255,
  256,
  -1,
  -32,
  65_535,
  2 ** 24,
  2 ** 32,
  0.5,
  Number.NaN,
  '',
  'x',
  'width',
  null,
  true,
  false,
  [],
  [1],
  new Map(),
  new Map([['a', 1]]),
  new Uint8Array(32),
  new Uint8Array(3),
  new Raw(0xca, 0x40, 0x40, 0, 0),
  new Raw(0xcc, 3),
  new Raw(0xd0, 0x80),
  new Raw(0xd1, 0, 8),
  new Raw(0xcf, 0, 0, 0, 0, 0, 0, 0, 40),
  new Raw(0xc1),
  new Raw(0xc7, 0, 0),
  new Raw(0xa1, 0x80),
  new Raw(0xda, 0, 1, 0x61),
  new Raw(0xa3, 0xef, 0xbb, 0xbf),
  [['icc', 0, 0]],
  [['icc', 0, 1]],
  [['icc', 0, 0, 0]],
  [['\u00e4'.repeat(8), 0, 0]],
  [['\u00e4'.repeat(9), 0, 0]],
  [['', 0, 0]],
]; // prettier-ignore
const FIELDS = [...Object.keys(source.header), 'later', '__proto__'];

function fieldsWith(key: string, value: unknown): Map<string, unknown> {
  const fields = new Map<string, unknown>(Object.entries(source.header));
  fields.set('model', Uint8Array.from(Buffer.from(source.header.model as string, 'hex')));
  fields.set(key, value);
  return fields;
}

interface ChangedFile {
  /** How the file was made. */
  readonly what: string;
  readonly bytes: Uint8Array;
}

/** What a change draws from: the engine of the file, chance, and the number of the round. */
interface Draw {
  readonly engine: Engine;
  readonly next: () => number;
  readonly round: number;
  readonly below: (limit: number) => number;
}

/** The file with another chunk in the place of one of its two. */
function withChunk({ below }: Draw, change: (chunk: Uint8Array) => Uint8Array): Uint8Array {
  const which = below(2);
  return assemble(
    header,
    chunks.map((chunk, i) => (i === which ? change(chunk) : chunk)),
  );
}

function flip({ below }: Draw, bytes: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[below(changed.length)]! ^= 1 + below(255);
  return changed;
}

const CHANGES: readonly ((draw: Draw) => ChangedFile | Promise<ChangedFile>)[] = [
  ({ below }) => {
    const key = FIELDS[below(FIELDS.length)]!;
    const value = VALUES[below(VALUES.length)];
    return {
      what: `${key} = ${JSON.stringify(value)}`,
      bytes: assemble(pack(fieldsWith(key, value)), chunks),
    };
  },
  (draw) => ({ what: 'a byte of the header', bytes: assemble(flip(draw, header), chunks) }),
  ({ below }) => {
    const line = below(2);
    let i = 0;
    const at = below(12);
    const add = 1 + below(255);
    const change = (entry: Uint8Array) => {
      if (i++ === line) entry[at]! += add;
    };
    return { what: `byte ${at} of line ${line} of the index`, bytes: assemble(header, chunks, change) };
  },
  (draw) => ({ what: 'a byte of a chunk', bytes: withChunk(draw, (chunk) => flip(draw, chunk)) }),
  (draw) => ({
    what: 'noise for a chunk',
    bytes: withChunk(draw, () => noise(16 + 2 * draw.below(80), draw.round)),
  }),
  (draw) => {
    const length = 16 + 2 * draw.below(40);
    const resized = (chunk: Uint8Array) => {
      const changed = new Uint8Array(length);
      changed.set(chunk.subarray(0, length));
      return changed;
    };
    return { what: `a chunk of ${length} bytes`, bytes: withChunk(draw, resized) };
  },
  ({ below }) => ({ what: 'cut', bytes: original.slice(0, below(original.length)) }),
  async (draw) => {
    // Symbols of another encoder, some of them beyond what tables express.
    const { engine, next } = draw;
    const scale = 300 * 4 ** draw.below(6);
    const analysis = Int16Array.from({ length: 6 * engine.model.latentChannels }, () =>
      Math.max(-32768, Math.min(32767, (next() + next() - 1) * scale)),
    );
    const { bytes } = await engine.encodeChunk(
      analysis,
      { height: 2, width: 3 },
      source.header.quality as number,
    );
    return { what: 'another chunk', bytes: withChunk(draw, () => bytes) };
  },
  (draw) => {
    // Few different words: long ways through the tables.
    const extreme = (chunk: Uint8Array) =>
      chunk.map((byte, i) => (i < 16 ? byte : [0, 255, 1, 128][draw.below(4)]!));
    return { what: 'extreme words', bytes: withChunk(draw, extreme) };
  },
];

function changedFile(engine: Engine, next: () => number, round: number): ChangedFile | Promise<ChangedFile> {
  const below = (limit: number) => Math.floor(next() * limit);
  return CHANGES[round % CHANGES.length]!({ engine, next, round, below });
}

const sha256 = (data: Int16Array | Uint8Array | Uint16Array) =>
  createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');

/**
 * What this decoder says of a whole file, in the words of the Python decoder: `ok` with digests, or the error
 * and its part.
 */
async function verdict(engine: Engine, bytes: Uint8Array): Promise<string> {
  try {
    const image = await openImage(bytes, { engine });
    const { reader, header: found } = image;
    const latents: Int16Array[] = [];
    for (const id of chunkList(found)) {
      const data = await reader.readChunk(id);
      latents.push(
        await engine
          .decodeChunk(data, chunkExtent(found, id), found.quality)
          .catch((error: unknown) => Promise.reject(reader.located(id, error))),
      );
    }
    for (const { type } of found.sections) await reader.readSection(type);
    // One chunk holds the whole plane in files as small as these.
    const first = chunkList(found).findIndex(({ level }) => level === 0);
    return `ok ${sha256(latents[first]!)} ${sha256((await image.render()).data as Uint8Array)}`;
  } catch (error) {
    if (isLiifError(error, 'FormatError'))
      return `FormatError ${(error as unknown as { section: string }).section}`;
    if (isLiifError(error, 'UnsupportedError')) return 'UnsupportedError -';
    throw error;
  }
}

describe.skipIf(python === undefined)('both decoders (needs python3 with numpy)', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'liif-agreement-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it(`agree on ${ROUNDS} changed files`, async () => {
    const engine = openReferenceEngine(await loadModel(modelBytes(source.model)));
    const next = seeded(ROUNDS);
    const ours = new Map<string, string>();
    const how = new Map<string, string>();
    for (let round = 0; round < ROUNDS; round++) {
      const { what, bytes } = await changedFile(engine, next, round);
      const file = `${round}.liif`;
      await writeFile(join(folder, file), bytes);
      how.set(file, what);
      ours.set(file, await verdict(engine, bytes));
    }
    const files = [...ours.keys()].map((file) => join(folder, file));
    const { stdout } = await runPythonDecoder(
      'check',
      ...files,
      '--model',
      join(VECTORS, 'models', source.model),
    );
    const theirs = new Map(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' '))
        .map(([file, ...rest]) => [file, rest.slice(0, rest[0] === 'ok' ? 3 : 2).join(' ')] as const),
    );
    const differences = [...ours]
      .filter(([file, verdict]) => theirs.get(file) !== verdict)
      .map(([file, verdict]) => `${how.get(file)}: ${verdict} here, ${theirs.get(file)} there`);
    expect(differences).toEqual([]);
    const verdicts = [...ours.values()].map((verdict) => verdict.split(' ').slice(0, 2).join(' '));
    expect(verdicts.filter((verdict) => verdict.startsWith('ok')).length).toBeGreaterThan(ROUNDS / 20);
    for (const refused of ['FormatError header', 'FormatError index', 'FormatError chunk'])
      expect(verdicts, refused).toContain(refused);
  }, 120_000);

  it('take model files at the limits of what is allowed, and none beyond', async () => {
    const most = 2 ** 31 - 1 - 2 ** 3 - 32_768 * 40_000;
    // A channel's largest step and largest offset count together, whatever their qualities; those of
    // different channels do not.
    const withOffset = (channel: number, value: number) => {
      const parts = tinyModelParts({ priorChannels: 8, hidden: 8 });
      const [step, offset] = ['hyper.step', 'hyper.offset'].map((name) => parts.tensors.get(name)!.data);
      step!.fill(1)[8 * 7 + 3] = 40_000;
      offset!.fill(0)[8 * 9 + channel] = value;
      return writeModel(parts);
    };
    const longNumber = () => {
      const bytes = Buffer.from(tinyModelBytes({ priorChannels: 8, hidden: 8 }));
      const at = bytes.indexOf('"dtype"');
      const changed = Buffer.concat([
        bytes.subarray(0, at),
        Buffer.from(`"note":${'9'.repeat(5000)},`),
        bytes.subarray(at),
      ]);
      changed.writeBigUInt64LE(bytes.readBigUInt64LE() + BigInt(changed.length - bytes.length));
      return changed;
    };
    const files = {
      'the largest offset': [withOffset(3, -most), true],
      'one more': [withOffset(3, -most - 1), false],
      'one more in another channel': [withOffset(4, -most - 1), true],
      'a number of 5000 digits that nobody reads': [longNumber(), true],
    } as const;
    for (const [what, [bytes, valid]] of Object.entries(files)) {
      const path = join(folder, 'model.safetensors');
      await writeFile(path, bytes);
      const ours = await loadModel(bytes).then(
        () => true,
        () => false,
      );
      // The file needs another model; that says that this one was loaded.
      const { stdout } = await runPythonDecoder(
        'check',
        join(VECTORS, 'valid', `${source.name}.liif`),
        '--model',
        path,
      );
      expect([ours, stdout.split(' ')[1] === 'UnsupportedError'], `${what}: ${stdout}`).toEqual([
        valid,
        valid,
      ]);
    }
  });
});
