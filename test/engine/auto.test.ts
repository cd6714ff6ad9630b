import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Choice, type ChoiceMemory, chooseEngine, scoreOfSpeed } from '../../src/engine/auto.ts';
import type { Engine, EngineName, Extent, FeatureMap, Patch, Query, Rect } from '../../src/engine/engine.ts';
import type { EngineEntry } from '../../src/engine/engine-entry.ts';
import { ENGINE_CHOICES, ENGINES, openEngine } from '../../src/engine/open-engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { leastSeconds, measureSpeed, tileOf } from '../../src/engine/speed.ts';
import { EngineError, UnsupportedError } from '../../src/errors.ts';
import { parseModel } from '../../src/network/load.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

const model = parseModel(tinyModelBytes({ seed: 5 }));
const opened: FakeEngine[] = [];
afterEach(() => {
  opened.length = 0;
});

describe('auto', () => {
  it('takes the only engine that runs, without measuring, and remembers it', async () => {
    const memory = new MapMemory();
    const engine = await chooseEngine(
      [missing('webgpu'), entry('wasm', { slowMs: 0 }), reference()],
      model,
      {},
      memory,
    );
    expect(engine.name).toBe('wasm');
    expect(opened[0]!.calls).toBe(0);
    expect(memory.choice).toEqual({ engine: 'wasm' });
  });

  it('measures where there is a choice, takes the faster one, closes the other and remembers', async () => {
    const memory = new MapMemory();
    const entries = [entry('webgpu', { slowMs: 120, device: 'software' }), entry('wasm', { slowMs: 0 })];
    const engine = await chooseEngine(entries, model, {}, memory);
    expect(engine.name).toBe('wasm');
    expect(opened.map(({ name, closed }) => [name, closed])).toEqual([
      ['webgpu', true],
      ['wasm', false],
    ]);
    expect(memory.choice).toEqual({ engine: 'wasm' });
  });

  it('opens the remembered one alone', async () => {
    const memory = new MapMemory({ engine: 'webgpu', device: 'card' });
    const entries = [entry('webgpu', { slowMs: 50, device: 'card' }), entry('wasm', { slowMs: 0 })];
    const engine = await chooseEngine(entries, model, {}, memory);
    expect(engine.name).toBe('webgpu');
    expect(opened).toHaveLength(1);
    expect(opened[0]!.calls).toBe(0);
  });

  it('measures anew when the device is another one, or the remembered engine is gone', async () => {
    for (const [first, choice] of [
      [entry('webgpu', { slowMs: 100, device: 'new card' }), { engine: 'webgpu', device: 'old card' }],
      [missing('webgpu'), { engine: 'webgpu', device: 'old card' }],
      [entry('webgpu', { slowMs: 100 }), { engine: 'tensorflow' }],
    ] as const) {
      const memory = new MapMemory(choice);
      const engine = await chooseEngine([first, entry('wasm', { slowMs: 0 })], model, {}, memory);
      expect(engine.name).toBe('wasm');
      expect(opened.filter(({ closed }) => !closed).map(({ name }) => name)).toEqual(['wasm']);
      opened.length = 0;
    }
  });

  it('passes over an engine that fails while it is measured', async () => {
    const failure = new EngineError('out of memory');
    const entries = [entry('webgpu', { failure }), entry('wasm', { slowMs: 30 })];
    expect((await chooseEngine(entries, model, {})).name).toBe('wasm');
  });

  it('passes over an engine that takes too long to be measured', async () => {
    const { signal } = new AbortController();
    const entries = [entry('webgpu', { slowMs: Number.POSITIVE_INFINITY }), entry('wasm', { slowMs: 30 })];
    expect((await chooseEngine(entries, model, { signal })).name).toBe('wasm');
  });

  it('hides no defect of an engine that shows while it is measured, and leaves none open', async () => {
    const entries = [entry('webgpu', { failure: new TypeError('not a function') }), entry('wasm', {})];
    await expect(chooseEngine(entries, model, {})).rejects.toThrow('not a function');
    expect(opened.map(({ closed }) => closed)).toEqual([true, true]);
  });

  it('remembers the device, and nothing where there is no choice', async () => {
    const memory = new MapMemory();
    const card = entry('webgpu', { device: 'card' });
    await chooseEngine([card, reference()], model, {}, memory);
    expect([memory.recalled, memory.choice]).toEqual([0, undefined]);
    await chooseEngine([card, missing('wasm')], model, {}, memory);
    expect([memory.recalled, memory.choice]).toEqual([1, { engine: 'webgpu', device: 'card' }]);
  });

  it('says once why each engine does not run, the remembered one too', async () => {
    const memory = new MapMemory({ engine: 'wasm' });
    await expect(chooseEngine([missing('webgpu'), missing('wasm')], model, {}, memory)).rejects.toMatchObject(
      {
        message: 'No engine runs here: webgpu: webgpu is not installed; wasm: wasm is not installed',
      },
    );
  });

  it('opens nothing for a caller who has given up', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const entries = [entry('webgpu', {}), entry('wasm', {})];
    await expect(chooseEngine(entries, model, { signal })).rejects.toThrow('enough');
    expect(opened).toEqual([]);
  });

  it('takes the reference engine when no other runs, and never one that is not exact', async () => {
    const inexact = { ...entry('tensorflow', { slowMs: 0 }), exact: false };
    expect((await chooseEngine([inexact, missing('wasm'), reference()], model, {})).name).toBe('reference');
    await expect(chooseEngine([inexact, missing('wasm'), missing('webgpu')], model, {})).rejects.toThrow(
      'No engine runs here: wasm: wasm is not installed; webgpu: webgpu is not installed',
    );
  });

  it('stops when it is told to', async () => {
    const controller = new AbortController();
    const entries = [entry('webgpu', { slowMs: 30 }), entry('wasm', { slowMs: 30 })];
    const choosing = chooseEngine(entries, model, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 20);
    await expect(choosing).rejects.toThrow('enough');
    expect(opened.map(({ closed }) => closed)).toEqual([true, true]);
  });

  it('leaves no engine open where it is stopped, or something breaks, while others open', async () => {
    const controller = new AbortController();
    const open = async () => {
      controller.abort(new Error('enough'));
      throw new EngineError('the caller gave up');
    };
    const stopping = { ...entry('wasm', {}), open };
    const options = { signal: controller.signal };
    await expect(chooseEngine([entry('webgpu', {}), stopping], model, options)).rejects.toThrow('enough');
    const broken = { ...entry('wasm', {}), open: () => Promise.reject(new TypeError('no such file')) };
    await expect(chooseEngine([entry('webgpu', {}), broken], model, {})).rejects.toThrow('no such file');
    expect(opened.map(({ closed }) => closed)).toEqual([true, true]);
  });
});

describe('openEngine', () => {
  it('knows every name of an engine once', () => {
    const names = ENGINES.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(ENGINE_CHOICES).toEqual(['auto', ...names]);
  });

  it('opens the engine that is named', async () => {
    const engine = await openEngine(model, { engine: 'reference' });
    expect(engine.name).toBe('reference');
    await engine.close();
  });

  it('refuses an engine that is not exact where that is needed', async () => {
    await expect(openEngine(model, { engine: 'tensorflow', mustBeExact: true })).rejects.toMatchObject({
      _tag: 'RequestError',
    });
  });

  it('gives the tensorflow engine an exact one for its chunks', async () => {
    const engine = await openEngine(model, { engine: 'tensorflow' });
    expect(engine.exact).toBe(false);
    const chunk = { height: 1, width: 1 };
    const analysis = new Int16Array(model.latentChannels);
    const { bytes } = await engine.encodeChunk(analysis, chunk, 50);
    expect((await engine.decodeChunk(bytes, chunk, 50)).length).toBe(model.latentChannels);
    await engine.close();
  });
});

it('scores an engine by the time of both stages, one after the other', () => {
  const tiles = 1e6 / 256 ** 2; // a megapixel
  expect(scoreOfSpeed({ megapixels: 1, tiles })).toBeCloseTo(1 / 2);
  expect(scoreOfSpeed({ megapixels: 0.5, tiles })).toBeCloseTo(1 / 3);
  expect(scoreOfSpeed({ megapixels: 1, tiles: tiles / 3 })).toBeCloseTo(1 / 4);
});

it('measures an engine in about the time it was given', async () => {
  const engine = openReferenceEngine(model);
  const start = performance.now();
  const { megapixels, tiles } = await measureSpeed(engine, { seconds: 0.1 });
  expect(performance.now() - start).toBeLessThan(15_000);
  expect(megapixels).toBeGreaterThan(0);
  expect(tiles).toBeGreaterThan(0);
});

/** An engine by whose work alone time passes: `ms` in each call. Counts feature maps that are open. */
function clocked(ms: number, calls: Partial<Engine> = {}) {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  let open = 0;
  const engine = {
    threads: 3,
    model,
    features: async (_latents: Patch, level: Extent, rect: Rect) => {
      open++;
      vi.advanceTimersByTime(ms);
      return { rect, level, close: () => void open-- };
    },
    pixels: async () => [],
    ...calls,
  } as unknown as Engine;
  return { engine, open: () => open };
}

it('counts all that an engine works on at a time, and closes the features', async () => {
  const { engine, open } = clocked(100);
  const pixels = async () => {
    vi.advanceTimersByTime(10);
    return [];
  };
  const { megapixels, tiles } = await measureSpeed({ ...engine, pixels }, { seconds: 0.1 });
  // Of three windows of 32 x 32 sites, one pixel of each, and three tiles.
  expect(megapixels).toBeCloseTo((3 * 32 ** 2) / 0.33 / 1e6);
  expect(tiles).toBeCloseTo(3 / 0.03);
  expect(open()).toBe(0);
});

it('closes the features of which the engine makes no tile', async () => {
  const failing = async (_: FeatureMap, [query]: readonly Query[]) => {
    if (query!.rows.index.length > 1) throw new EngineError('out of memory');
    return [];
  };
  const { engine, open } = clocked(100, { pixels: failing });
  await expect(measureSpeed(engine, { seconds: 0.1 })).rejects.toThrow('out of memory');
  expect(open()).toBe(0);
});

it('takes the fastest of several calls but the first, one that takes all the time, and none once it is stopped', async () => {
  clocked(0);
  const leastOf = async (...ms: number[]) => {
    const work = async () => {
      expect(ms).not.toEqual([]);
      vi.advanceTimersByTime(ms.shift()!);
    };
    const least = await leastSeconds(work, { seconds: 0.1 });
    return [Math.round(least * 1000), ms.length];
  };
  expect(await leastOf(10, 30, 20, 50, 10)).toEqual([20, 1]);
  expect(await leastOf(100, 10)).toEqual([100, 1]);
  const controller = new AbortController();
  let calls = 0;
  const work = async () => {
    vi.advanceTimersByTime(30);
    if (++calls === 2) controller.abort(new Error('enough'));
  };
  await expect(leastSeconds(work, { seconds: 0.1, signal: controller.signal })).rejects.toThrow('enough');
  expect(calls).toBe(2);
});

it('measures tiles on sites that the window has, with the next ones, however small it is', () => {
  const rect = { top: 128, left: 64, height: 32, width: 600 };
  const { rows, columns } = tileOf({ rect, level: { height: 288, width: 728 } } as FeatureMap, 1, 3);
  expect([rows.index[0], rows.index.at(-1)]).toEqual([128, 128 + 30]);
  expect([columns.index[0], columns.index.at(-1)]).toEqual([64 + 159, 64 + 159 + 255]);
});

class MapMemory implements ChoiceMemory {
  choice: Choice | undefined;
  recalled = 0;
  constructor(choice?: Choice) {
    this.choice = choice;
  }
  async recall(): Promise<Choice | undefined> {
    this.recalled++;
    return this.choice;
  }
  async remember(_model: unknown, choice: Choice): Promise<void> {
    this.choice = choice;
  }
}

interface FakeEngine extends Engine {
  calls: number;
  closed: boolean;
}

interface Manner {
  /** What every call takes, unless it is aborted. */
  readonly slowMs?: number;
  readonly device?: string;
  /** What every call rejects with. */
  readonly failure?: Error;
}

/** An engine that does nothing, in a given time: what is under test is the choice. */
function entry(name: EngineName, { slowMs = 0, device, failure }: Manner): EngineEntry {
  return {
    name,
    exact: true,
    async open() {
      const reference = openReferenceEngine(model);
      const work = async (signal?: AbortSignal) => {
        engine.calls++;
        if (failure) throw failure;
        if (slowMs < Number.POSITIVE_INFINITY) await new Promise((resolve) => setTimeout(resolve, slowMs));
        else await new Promise((resolve) => signal?.addEventListener('abort', resolve));
        signal?.throwIfAborted();
      };
      const engine: FakeEngine = {
        ...reference,
        name,
        ...(device !== undefined && { device }),
        calls: 0,
        closed: false,
        async features(_latents, level, rect, _quality, signal) {
          await work(signal);
          const whole = { height: level.height * 16, width: level.width * 16 };
          return { rect, level: whole, byteLength: 0, read: async () => new Int16Array(), close() {} };
        },
        async pixels(_features, queries, signal) {
          await work(signal);
          return queries.map(() => new Uint8Array());
        },
        async close() {
          engine.closed = true;
        },
      };
      opened.push(engine);
      return engine;
    },
  };
}

function missing(name: EngineName): EngineEntry {
  return {
    name,
    exact: true,
    open: () => Promise.reject(new UnsupportedError(`${name} is not installed`)),
  };
}

function reference(): EngineEntry {
  return { name: 'reference', exact: true, open: async () => openReferenceEngine(model) };
}
