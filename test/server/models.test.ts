import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeImage } from '../../src/decode.ts';
import { encodeImage } from '../../src/encode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { DECODER_HASHES } from '../../src/model/decoder-hashes.ts';
import { readModelList } from '../../src/model/model-list.ts';
import { loadDecoderModel } from '../../src/network/decoder-model.ts';
import { parseModel } from '../../src/network/load.ts';
import { unpackDecoderPart } from '../../src/network/packed-part.ts';
import { sha256 } from '../../src/network/sha256.ts';
import { createApp } from '../../src/server/index.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';
import {
  crop,
  directoryOf,
  encoded,
  picture,
  pixelsOf,
  startServer,
  type TestServer,
  testEngine,
} from './server-fixture.ts';

const weights = { mine: tinyModelBytes({ seed: 51 }), theirs: tinyModelBytes({ seed: 52, hidden: 24 }) };
const engineOf = (bytes: Uint8Array) => openReferenceEngine(parseModel(bytes));
const raster = picture(200, 150);
const files = {
  'own.liif': await encoded(raster),
  'mine.liif': await encodeImage(await engineOf(weights.mine), raster, { quality: 70 }),
  'theirs.liif': await encodeImage(await engineOf(weights.theirs), raster, { quality: 70 }),
};
const models = await directoryOf({ 'mine.safetensors': weights.mine, 'theirs.safetensors': weights.theirs });
const mine = join(models, 'mine.safetensors');
const theirs = join(models, 'theirs.safetensors');
/** What opens engines of the models that settings name. */
const settings = { engine: 'wasm', threads: 1, tileCacheMb: 0 } as const;
const TILE = '0/0/0.png'; // native scale, all of the picture

describe('a server with models of one’s own', () => {
  let server: TestServer;
  let opened = 0;
  beforeAll(async () => {
    server = await startServer({
      roots: [await directoryOf(files)],
      models: [mine, theirs, mine],
      openEngine: async () => {
        opened++;
        return testEngine();
      },
      allowUpload: true,
      ...settings,
    });
  });

  it('serves each picture with the model that it names, and opens an engine when the first needs it', async () => {
    for (const [id, engine] of [
      ['mine', await engineOf(weights.mine)],
      ['theirs', await engineOf(weights.theirs)],
      ['own', await testEngine()],
    ] as [keyof typeof weights | 'own', Engine][]) {
      expect(opened).toBe(0);
      const answer = await server.get(`/${id}/${TILE}`);
      expect(answer.status).toBe(200);
      const tile = await pixelsOf(answer.body);
      const whole = await decodeImage(files[`${id}.liif`], { engine });
      // The last channel says that the tile reaches beyond the picture.
      const shown = crop(tile, 0, 0, 200, 150).filter((_, i) => tile.channels === 3 || i % 4 < 3);
      expect(shown, id).toEqual(whole.data);
      await engine.close();
    }
    expect(opened).toBe(1);
  });

  it('says of each picture which model it has, under ETags of their own', async () => {
    const { images, failed } = (await server.get('/api/images')).json();
    expect(failed).toEqual([]);
    expect(new Set(images.map(({ model }: { model: string }) => model)).size).toBe(3);
    const etags = ['own', 'mine', 'theirs'].map(
      async (id) => (await server.get(`/${id}/${TILE}`)).headers.etag,
    );
    expect(new Set(await Promise.all(etags)).size).toBe(3);
  });

  it('lists the weights for browsers, and gives them by ranges, and packed', async () => {
    const list = readModelList((await server.get('/model/models.json')).json());
    expect(list.map(({ hash }) => hash).sort()).toEqual(
      Object.values(weights)
        .map((bytes) => parseModel(bytes).hash)
        .sort(),
    );
    for (const { hash, decoderHash, file } of list) {
      const read = async (offset: number, length: number) => {
        const headers = { range: `bytes=${offset}-${offset + length - 1}` };
        const { status, body } = await server.get(`/model/${file}`, { headers });
        expect(status).toBe(206);
        return body;
      };
      expect((await loadDecoderModel(read, { decoderHash })).hash).toBe(hash);
    }
    for (const decoderHash of [...list.map((model) => model.decoderHash), ...DECODER_HASHES.values()]) {
      const { status, body, headers } = await server.get(`/model/${decoderHash}.part`);
      expect(status).toBe(200);
      const part = await unpackDecoderPart(new Blob([Uint8Array.from(body)]).stream());
      expect(await sha256(part)).toBe(decoderHash);
      const again = { headers: { 'if-none-match': String(headers.etag) } };
      expect((await server.get(`/model/${decoderHash}.part`, again)).status).toBe(304);
    }
    expect((await server.get(`/model/${'0'.repeat(64)}.safetensors`)).status).toBe(404);
  });

  it('keeps .liif files of its models that are sent', async () => {
    const sent = await server.get('/api/images?name=sent', {
      method: 'POST',
      body: files['mine.liif'],
    });
    expect(sent.status).toBe(202);
    const foreign = await encodeImage(await engineOf(tinyModelBytes({ seed: 53 })), raster, { quality: 70 });
    const refused = await server.get('/api/images?name=foreign', { method: 'POST', body: foreign });
    expect(refused.json().type).toBe('urn:liif:problem:unknown-model');
  });
});

it('a server without a model that a picture names gives the others, and says which is missing in the log', async () => {
  const server = await startServer({ roots: [await directoryOf(files)], models: [mine], ...settings });
  const { images, failed } = (await server.get('/api/images')).json();
  expect(images.map(({ id }: { id: string }) => id)).toEqual(['mine', 'own']);
  expect(failed).toMatchObject([{ id: 'theirs', code: 'unsupported-file' }]);
  expect((await server.get(`/theirs/${TILE}`)).status).toBe(501);
  const { paths } = (await server.get('/openapi.json')).json();
  expect(paths['/{id}/{z}/{x}/{y}.{format}'].get.responses).toHaveProperty('501');
  const { hash } = parseModel(weights.theirs);
  expect(JSON.stringify(server.log)).toMatch(new RegExp(`needs model ${hash}.*--model FILE`));
});

it('a server whose one engine dies replaces them all, and every request is answered', async () => {
  const engines: Engine[] = [];
  const server = await startServer({
    roots: [await directoryOf(files)],
    models: [mine],
    featureCacheMb: 0,
    pixelCacheMb: 0,
    ...settings,
    openEngine: async () => {
      const engine = await testEngine();
      engines.push(engine);
      return engine;
    },
  });
  const all = () => Promise.all(['own', 'mine', 'mine'].map((id) => server.get(`/${id}/${TILE}`)));
  const before = await all();
  await engines[0]!.close();
  const after = await all();
  expect(after.map(({ status }) => status)).toEqual([200, 200, 200]);
  for (const [i, { body }] of after.entries()) expect(body.equals(before[i]!.body)).toBe(true);
  expect(engines).toHaveLength(2);
  expect((await server.get('/metrics')).body.toString()).toContain('liif_engine_replacements_total 1');
});

it('a server does not begin with a model file that is damaged or not there, and names it', async () => {
  const root = await directoryOf(files);
  const bad = join(
    await directoryOf({ 'bad.safetensors': weights.mine.subarray(0, 1000) }),
    'bad.safetensors',
  );
  const start = (file: string) => createApp({ roots: [root], models: [mine, file], logLevel: 'silent' });
  await expect(start(bad)).rejects.toThrow(/bad\.safetensors: model at byte \d+: /);
  await expect(start(join(root, 'no.safetensors'))).rejects.toThrow(/no\.safetensors: no such file/);
  expect((await readdir(root)).sort()).toEqual(Object.keys(files).sort());
});
