import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/engine/engine.ts';
import { nodeHost } from '../../../src/engine/wasm/threads/node-host.ts';
import type { ToThread } from '../../../src/engine/wasm/threads/thread.ts';
import { openWasmEngine } from '../../../src/engine/wasm/wasm-engine.ts';
import { releasedModel } from '../../../src/model/released-model.ts';
import { randomSource } from '../../fixtures/tiny-model.ts';
import { watchedThreads } from './watched-threads.ts';

const model = await releasedModel();
const QUALITY = 60;
/** Of four threads the fourth finds no place: each has eight rows at least. */
const chunk = { height: 21, width: 18 };
const random = randomSource(11);
const analysis = Int16Array.from(
  { length: chunk.height * chunk.width * model.latentChannels },
  () => (random() - 0.5) * 6000,
);

/** Kinds of messages that threads have got. */
let posted: ToThread['kind'][] = [];
const watched = watchedThreads(({ kind }) => void posted.push(kind));
const helpers = () => posted.filter((kind) => kind === 'help').length;

describe('a chunk that several threads share', () => {
  let engine: Engine;
  let bytes: Uint8Array;
  let expected: Int16Array;
  // A matcher compares arrays element by element, slowly.
  const same = (latents: Int16Array) => latents.every((value, i) => value === expected[i]);

  beforeAll(async () => {
    engine = await openWasmEngine(model, { host: watched, threads: 4 });
    const alone = await openWasmEngine(model, { host: nodeHost, threads: 1 });
    ({ bytes, latents: expected } = await alone.encodeChunk(analysis, chunk, QUALITY));
    await alone.close();
  });
  afterAll(() => engine.close());

  it('is decoded to the same latents each time, whenever the helpers come', async () => {
    posted = [];
    for (let i = 0; i < 30; i++) {
      // Leaves other tensors where this chunk's will lie.
      await engine.encodeChunk(analysis, { height: chunk.width, width: chunk.height }, QUALITY);
      expect(same(await engine.decodeChunk(bytes, chunk, QUALITY))).toBe(true);
    }
    expect(helpers()).toBeGreaterThan(0);
  });

  it('is encoded to the same bytes', async () => {
    posted = [];
    for (let i = 0; i < 10; i++) {
      const encoded = await engine.encodeChunk(analysis, chunk, QUALITY);
      expect(Buffer.compare(encoded.bytes, bytes)).toBe(0);
      expect(same(encoded.latents)).toBe(true);
    }
    expect(helpers()).toBeGreaterThan(0);
  });

  it('gets no help while something waits for a thread', async () => {
    posted = [];
    // Four at a time, and one at the end.
    const all = await Promise.all(
      Array.from({ length: 13 }, () => engine.decodeChunk(bytes, chunk, QUALITY)),
    );
    expect(all.every(same)).toBe(true);
    const decoding = posted.lastIndexOf('decode');
    // Then threads have nothing else to do.
    expect(posted.slice(0, decoding).filter((kind) => kind === 'help')).toStrictEqual([]);
    expect(posted.slice(decoding)).toContain('help');
  });

  it('is refused by all of them at once when its bytes are broken', async () => {
    const broken = bytes.slice();
    broken.fill(0x5a, 40);
    for (let i = 0; i < 10; i++)
      await expect(engine.decodeChunk(broken, chunk, QUALITY)).rejects.toMatchObject({
        _tag: 'FormatError',
        section: 'chunk',
      });
    expect(same(await engine.decodeChunk(bytes, chunk, QUALITY))).toBe(true);
  });

  it('is left by all of them when its caller has gone', async () => {
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController();
      const decoding = engine.decodeChunk(bytes, chunk, QUALITY, controller.signal).catch((reason) => reason);
      await new Promise((resolve) => setTimeout(resolve, i));
      controller.abort(new Error('gone'));
      await decoding;
    }
    expect(same(await engine.decodeChunk(bytes, chunk, QUALITY))).toBe(true);
  });
});
