import { beforeAll, describe, expect, it } from 'vitest';
import { isLiifError } from '../../src/errors.ts';
import { readModelFile } from '../../src/model/model-file.ts';
import { modelConvs } from '../../src/network/convs.ts';
import { loadModel } from '../../src/network/load.ts';
import type { Conv } from '../../src/network/model.ts';
import { convExponents } from '../../src/train/network/exponents.ts';
import { nativeBatch } from '../../src/train/pictures/batches.ts';
import type { Piece } from '../../src/train/pictures/corpus.ts';
import { seededRandom } from '../../src/train/random.ts';
import { openTrainingBackend, type TrainingBackend } from '../../src/train/tensorflow.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { DEFAULT_SETTINGS, type TuneOptions, tune } from '../../src/train/tune.ts';
import type { BaseModel } from '../../src/train/tuned-model.ts';

/** Stripes and a gradient: something to learn. */
const piece: Piece = {
  width: 256,
  height: 256,
  data: Uint8Array.from({ length: 256 * 256 * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % 256, Math.floor(i / 768)];
    return (x >> 3) % 2 ? y : 255 - (x >> 1);
  }),
};
const settings = { ...DEFAULT_SETTINGS, batch: 1, side: 128, rate: 5e-3 };

let base: BaseModel;
let backend: TrainingBackend;
beforeAll(async () => {
  backend = await openTrainingBackend('wasm');
  base = await readModelFile(new URL('../../format-spec/vectors/models/small.safetensors', import.meta.url));
});

const options = (steps: number, more: Partial<TuneOptions> = {}): TuneOptions => ({
  settings: { ...settings, until: { steps } },
  pieces: [piece],
  name: 'tuned',
  backend,
  ...more,
});

// The kernels of wasm take no smaller side.
describe.each([
  ['cpu', 64],
  ['wasm', 128],
] as const)('a trainer on %s', (name, side) => {
  it('makes what it repeats cheaper and closer', async () => {
    const trainer = new Trainer(await openTrainingBackend(name), base.model, convExponents(base.bytes));
    const batch = await nativeBatch({
      pieces: [piece],
      random: seededRandom(3),
      count: 1,
      side,
      qualities: [50, 50],
    });
    const losses: number[] = [];
    for (let i = 0; i < 12; i++) losses.push((await trainer.step(batch, 5e-3)).loss);
    trainer.close();
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(losses.at(-1)!).toBeLessThan(0.9 * losses[0]!);
  });
});

describe('tuning', () => {
  it('makes a model that loads, has a hash of its own and says where it comes from', async () => {
    const { file, model, steps } = await tune(
      base,
      options(3, { settings: { ...settings, until: { steps: 3 }, rate: 0.1 } }),
    );
    const from = base.model;
    expect(steps).toBe(3);
    expect(model).toEqual(await loadModel(file));
    expect(model.name).toBe('tuned');
    expect(model.hash).not.toBe(from.hash);
    const changed = modelConvs<Conv>(model).filter((conv, i) => {
      const before = modelConvs<Conv>(from)[i]!;
      return conv.weight.some((w, k) => w !== before.weight[k]);
    });
    expect(changed).toHaveLength(modelConvs(from).length);
    expect(Buffer.from(file).toString('latin1')).toContain(`\\"base\\":\\"${from.hash}\\"`);
  });

  it('that was interrupted goes on as if it had not been', async () => {
    const whole = await tune(base, options(4));
    const controller = new AbortController();
    let kept: TuneOptions['from'];
    const interrupted = tune(
      base,
      options(4, {
        signal: controller.signal,
        onStep: ({ step }) => step === 2 && controller.abort(new Error('stop')),
        onState: async (state) => {
          kept = state;
        },
      }),
    );
    await expect(interrupted).rejects.toThrow('stop');
    expect(kept?.step).toBe(2);
    const resumed = await tune(base, options(4, { from: kept! }));
    expect(Buffer.compare(resumed.file, whole.file)).toBe(0);
  });

  it('that is interrupted behind its last step keeps that step, and has only tables to fit when it goes on', async () => {
    const whole = await tune(base, options(2));
    const controller = new AbortController();
    let kept: TuneOptions['from'];
    const interrupted = tune(
      base,
      options(2, {
        signal: controller.signal,
        onState: async (state) => {
          kept = state;
          controller.abort(new Error('stop'));
        },
      }),
    );
    await expect(interrupted).rejects.toThrow('stop');
    expect(kept?.step).toBe(2);
    const steps: number[] = [];
    const resumed = await tune(base, options(2, { from: kept!, onStep: ({ step }) => steps.push(step) }));
    expect(steps).toEqual([]);
    expect(Buffer.compare(resumed.file, whole.file)).toBe(0);
  });

  it('keeps what it has learned where the next pictures cannot be had', async () => {
    let crops = 0;
    const vanishing: Piece = {
      ...piece,
      get data() {
        if (++crops > 4) throw new Error('out of memory');
        return piece.data;
      },
    };
    let kept: TuneOptions['from'];
    const failed = tune(
      base,
      options(9, {
        pieces: [vanishing],
        onState: async (state) => {
          kept = state;
        },
      }),
    );
    await expect(failed).rejects.toThrow('out of memory');
    expect(kept?.step).toBeGreaterThan(0);
  });

  it('counts symbols for no longer than a part of its time, but some of them in any case', async () => {
    const shares: number[] = [];
    const onCounted = (share: number) => shares.push(share);
    await tune(base, options(1, { onCounted }));
    expect(shares).toEqual(Array.from({ length: 48 }, (_, i) => i / 48));
    shares.length = 0;
    await tune(base, options(1, { settings: { ...settings, until: { seconds: 0.01 } }, onCounted }));
    expect(shares).toHaveLength(4);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBeLessThanOrEqual(1);
  });

  it('that has diverged ends, with what may help', async () => {
    const steps: number[] = [];
    const diverged = tune(
      base,
      options(100, {
        settings: { ...settings, until: { steps: 100 }, rate: 1e30 },
        onStep: ({ step }) => steps.push(step),
      }),
    );
    await expect(diverged).rejects.toThrow(/last 20 steps had no finite gradient.*lower rate/);
    expect(steps.length).toBeLessThan(30);
  });

  it('counts the steps that it skipped before it was interrupted', async () => {
    const wild = { ...settings, until: { steps: 8 }, rate: 1e30 };
    const controller = new AbortController();
    let kept: TuneOptions['from'];
    const interrupted = tune(
      base,
      options(8, {
        settings: wild,
        signal: controller.signal,
        onStep: ({ step }) => step === 5 && controller.abort(new Error('stop')),
        onState: async (state) => {
          kept = state;
        },
      }),
    );
    await expect(interrupted).rejects.toThrow('stop');
    expect(kept?.skipped).toBeGreaterThan(0);
    let skipped = kept!.skipped;
    // Its weights are no numbers, so that it cannot end well.
    const resumed = tune(
      base,
      options(8, {
        settings: wild,
        from: kept!,
        onStep: ({ stepped }) => {
          if (!stepped) skipped++;
        },
        onState: async (state) => {
          kept = state;
        },
      }),
    );
    await expect(resumed).rejects.toThrow();
    expect([kept!.step, kept!.skipped]).toEqual([8, skipped]);
  });

  it('does not go on from a state of another network', async () => {
    const trainer = {
      variables: [new Float32Array(3)],
      optimizer: { meanNorm: 0, powers: [1, 1] as const, moments: [] },
    };
    const from = { step: 1, seconds: 1, skipped: 0, trainer } as const;
    const failure = await tune(base, options(2, { from })).catch((error: unknown) => error);
    expect(isLiifError(failure, 'RequestError')).toBe(true);
  });

  it('leaves no tensor behind', async () => {
    const { tf } = backend;
    await tune(base, options(1));
    const before = tf.memory().numTensors;
    await tune(base, options(2));
    expect(tf.memory().numTensors).toBe(before);
  });

  it('without pictures is refused', async () => {
    const failure = await tune(base, options(1, { pieces: [] })).catch((error: unknown) => error);
    expect(isLiifError(failure, 'RequestError')).toBe(true);
  });
});
