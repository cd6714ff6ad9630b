import { describe, expect, it, vi } from 'vitest';
import type { Engine, Query, Samples } from '../../../src/engine/engine.ts';
import { openReferenceEngine } from '../../../src/engine/reference/reference-engine.ts';
import type { FromWorker, ToWorker } from '../../../src/engine/worker/messages.ts';
import { type ServedEngine, serveEngine } from '../../../src/engine/worker/serve-engine.ts';
import { SharedSampleMemory } from '../../../src/engine/worker/shared-samples.ts';
import {
  type EngineWorker,
  openWorkerEngine,
  type SharedSamples,
  type WorkerEngineOptions,
} from '../../../src/engine/worker/worker-engine.ts';
import { FormatError, isLiifError, RequestError } from '../../../src/errors.ts';
import { axis, latents, level, model, query, sites } from '../../fixtures/one-latent.ts';

const reference = openReferenceEngine(model);

/** A worker of this thread: messages are cloned and come later, as between threads. */
class NearWorker implements EngineWorker {
  readonly sent: ToWorker[] = [];
  readonly #handle: (message: ToWorker) => void;
  #receive: (message: FromWorker) => void = () => {};
  #fail: (reason: unknown) => void = () => {};
  terminated = 0;

  constructor(inside: ServedEngine) {
    this.#handle = serveEngine(
      async () => inside,
      (message, transfer) => {
        const copy = structuredClone(message, { transfer });
        setImmediate(() => this.#receive(copy));
      },
    );
  }

  post(message: ToWorker): void {
    const copy = structuredClone(message);
    this.sent.push(copy);
    setImmediate(() => this.#handle(copy));
  }

  onMessage(callback: (message: FromWorker) => void): void {
    this.#receive = callback;
  }

  onFailure(callback: (reason: unknown) => void): void {
    this.#fail = callback;
  }

  terminate(): void {
    this.terminated++;
  }

  die(reason: Error): void {
    this.#receive = () => {};
    this.#fail(reason);
  }
}

async function open(
  inside: Partial<ServedEngine>,
  options: Partial<WorkerEngineOptions> = {},
): Promise<{ engine: Engine; worker: NearWorker }> {
  const worker = new NearWorker({ ...reference, ...inside });
  const engine = await openWorkerEngine(model, {
    name: 'webgpu',
    workers: 1,
    startWorker: () => worker,
    ...options,
  });
  return { engine, worker };
}

const turns = async (count = 4) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('an engine behind messages', () => {
  it('is told that a call was aborted, while it works on it', async () => {
    let told: AbortSignal | undefined;
    const { engine } = await open({
      features: (...call) => {
        told = call[4];
        return new Promise((_, reject) => told!.addEventListener('abort', () => reject(told!.reason)));
      },
    });
    const controller = new AbortController();
    const call = engine.features(latents, level, sites, 50, controller.signal);
    await turns();
    expect(told!.aborted).toBe(false);
    controller.abort(new Error('nobody waits'));
    await expect(call).rejects.toThrow('nobody waits');
    await turns();
    expect(told!.aborted).toBe(true);
  });

  it('keeps no feature map that came after its call was aborted', async () => {
    const close = vi.fn();
    const map = await reference.features(latents, level, sites, 50);
    const { engine } = await open({ features: async () => ({ ...map, close }) });
    const controller = new AbortController();
    const call = engine.features(latents, level, sites, 50, controller.signal);
    controller.abort(new Error('too late'));
    await expect(call).rejects.toThrow('too late');
    await turns();
    expect(close).toHaveBeenCalledOnce();
  });

  it('fails with errors of the same class, and the place in the file', async () => {
    const failWith = (error: Error) => open({ decodeChunk: () => Promise.reject(error) });
    const call = async (error: Error) =>
      (await failWith(error)).engine.decodeChunk(new Uint8Array(3), level, 50).catch((found) => found);
    const damaged = await call(new FormatError('chunk', 17, 'a symbol is missing'));
    expect(damaged).toBeInstanceOf(FormatError);
    expect(damaged).toMatchObject({ section: 'chunk', byteOffset: 17, reason: 'a symbol is missing' });
    expect(await call(new RequestError('no such quality'))).toBeInstanceOf(RequestError);
    expect(isLiifError(await call(new TypeError('a slip')), 'EngineError')).toBe(true);
  });

  it('rejects what is under way when its worker dies, and all later calls', async () => {
    const { engine, worker } = await open({ pixels: () => new Promise(() => {}) });
    const map = await engine.features(latents, level, sites, 50);
    const call = engine.pixels(map, [query]);
    await turns();
    worker.die(new Error('struck by lightning'));
    await expect(call).rejects.toMatchObject({
      _tag: 'EngineError',
      cause: new Error('struck by lightning'),
    });
    await expect(engine.pixels(map, [query])).rejects.toMatchObject({ _tag: 'EngineError' });
    expect(worker.terminated).toBe(1);
  });

  it('gives the calls of a worker that has died to the others', async () => {
    const workers = [new NearWorker({ ...reference }), new NearWorker({ ...reference })];
    const starting = [...workers];
    const { engine } = await open({}, { workers: 2, startWorker: () => starting.shift()! });
    workers[0]!.die(new Error('struck by lightning'));
    const map = await engine.features(latents, level, sites, 50);
    expect(await engine.pixels(map, [query])).toEqual(
      await reference.pixels(await reference.features(latents, level, sites, 50), [query]),
    );
  });

  it('refuses a feature map of another engine', async () => {
    const [one, other] = [await open({}), await open({})];
    const map = await one.engine.features(latents, level, sites, 50);
    await expect(other.engine.pixels(map, [query])).rejects.toMatchObject({ _tag: 'RequestError' });
  });

  it('is sent views without the memory around them', async () => {
    const { engine, worker } = await open({});
    const around = new Int32Array(10_000);
    const map = await engine.features(latents, level, sites, 50);
    await engine.pixels(map, [{ ...query, rows: { ...axis, index: around.subarray(5, 6) } }]);
    const sent = worker.sent.at(-1) as Extract<ToWorker, { kind: 'pixels' }>;
    expect((sent.queries as Query[])[0]!.rows.index.buffer.byteLength).toBe(4);
    await engine.decodeChunk(Buffer.alloc(10_000).subarray(5, 9), level, 50).catch(() => {});
    const { args } = worker.sent.at(-1) as Extract<ToWorker, { kind: 'call' }>;
    expect((args[0] as Uint8Array).buffer.byteLength).toBe(4);
  });

  it('leaves chunks to another where it says so, until it is closed', async () => {
    const decodeChunk = vi.fn(reference.decodeChunk);
    const chunks = {
      encodeChunk: reference.encodeChunk,
      decodeChunk,
      gradient: vi.fn(reference.gradient),
      backpropagate: vi.fn(reference.backpropagate),
    };
    const { bytes } = await reference.encodeChunk(new Int16Array(model.latentChannels), level, 50);
    const coder = await open({}, { chunks });
    await coder.engine.decodeChunk(bytes, level, 50);
    expect(decodeChunk).not.toHaveBeenCalled();
    const { engine } = await open({ codesChunks: false }, { chunks });
    await engine.decodeChunk(bytes, level, 50);
    expect(decodeChunk).toHaveBeenCalledOnce();
    // Gradients it leaves to that one in any case.
    const pixel = { top: 0, left: 0, height: 1, width: 1 };
    const errorsOf = () => new Int16Array(3);
    await coder.engine.gradient(latents, level, latents.rect, pixel, errorsOf, 50);
    await engine.gradient(latents, level, latents.rect, pixel, errorsOf, 50);
    expect(chunks.gradient).toHaveBeenCalledTimes(2);
    const context = new Int16Array(model.priorChannels);
    const derivatives = new Int16Array(2 * model.latentChannels);
    await coder.engine.backpropagate(0, context, { height: 1, width: 1 }, derivatives, 50);
    await engine.backpropagate(0, context, { height: 1, width: 1 }, derivatives, 50);
    expect(chunks.backpropagate).toHaveBeenCalledTimes(2);
    await engine.close();
    await expect(engine.decodeChunk(bytes, level, 50)).rejects.toMatchObject({ _tag: 'EngineError' });
  });
});

/** Shared memory that remembers what it has lent. */
class Lender extends SharedSampleMemory {
  readonly lent: SharedArrayBuffer[] = [];

  override take(queries: readonly Query[]): SharedSamples | undefined {
    const samples = super.take(queries);
    if (samples) this.lent.push(samples.buffer);
    return samples;
  }
}

describe('shared memory behind an engine', () => {
  it('is the same for 1,000 tiles, and the samples are the caller’s own', async () => {
    const samples = new Lender();
    const { engine } = await open(writing, { samples });
    const map = await engine.features(latents, level, sites, 50);
    const into = new Uint8Array(3);
    const [first] = await engine.pixels(map, [query]);
    for (let i = 1; i < 1000; i++) expect(await engine.pixels(map, [{ ...query, into }])).toEqual([into]);
    expect(new Set(samples.lent).size).toBe(1);
    expect(first).toEqual(Uint8Array.of(1, 1, 1));
    expect(first!.buffer).toBeInstanceOf(ArrayBuffer);
    expect(into).toEqual(Uint8Array.of(232, 232, 232));
  });

  it('is lent anew only when nobody writes to it any more', async () => {
    const samples = new Lender();
    const failing = { ...writing, pixels: () => Promise.reject(new RequestError('no')) };
    for (const [inside, again] of [
      [writing, true],
      [failing, false],
    ] as const) {
      const { engine } = await open(inside, { samples });
      const map = await engine.features(latents, level, sites, 50);
      const controller = new AbortController();
      const call = engine.pixels(map, [query], controller.signal);
      controller.abort(new Error('gone'));
      await expect(call).rejects.toThrow('gone');
      const before = samples.lent.at(-1)!;
      expect(samples.take([query])!.buffer).not.toBe(before);
      await turns();
      expect(samples.take([query])!.buffer === before).toBe(again);
    }
  });

  let count = 0;
  /** Writes the number of the call to where the caller wants it. */
  const writing: Partial<ServedEngine> = {
    pixels: async (_, queries): Promise<Samples[]> => {
      count++;
      return queries.map(({ into }) => into!.fill(count));
    },
  };
});
