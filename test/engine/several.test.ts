import { describe, expect, it } from 'vitest';
import type { Engine, Samples } from '../../src/engine/engine.ts';
import { withFallback } from '../../src/engine/fallback.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { severalAsOne } from '../../src/engine/several.ts';
import { EngineError } from '../../src/errors.ts';
import { latents, level, model, query, sites } from '../fixtures/one-latent.ts';
import { MODELS, runEngineTests } from './conformance.ts';

describe('the contract of engines, kept by two that are one', () => {
  runEngineTests({
    models: [MODELS[0]!],
    openEngine: async (model) => severalAsOne([openReferenceEngine(model), openReferenceEngine(model)]),
  });
});

/** A card that writes down what it is asked for, and fails while it is lost. */
class Card {
  lost = false;
  readonly calls: string[] = [];
  readonly engine: Engine;

  constructor(name: string) {
    const inner = openReferenceEngine(model);
    const note = async (call: string) => {
      this.calls.push(call);
      if (this.lost) throw new EngineError(`${name} was lost`);
    };
    this.engine = {
      ...inner,
      device: name,
      features: async (...call) => note('features').then(() => inner.features(...call)),
      pixels: async (...call) => note('pixels').then(() => inner.pixels(...call)),
      plainSpeed: async () => ({ gigaMacs: 2, copyGigabytes: 10 }),
    };
  }
}

function twoCards(): { one: Card; other: Card; engine: Engine } {
  const one = new Card('one');
  const other = new Card('other');
  return { one, other, engine: severalAsOne([one.engine, other.engine]) };
}

const makeFeatures = (engine: Engine) => engine.features(latents, level, sites, 50);

describe('several cards', () => {
  it('are named and measured together', async () => {
    const { engine } = twoCards();
    expect(engine.device).toBe('one + other');
    expect(await engine.plainSpeed!()).toEqual({ gigaMacs: 4, copyGigabytes: 20 });
  });

  it('share calls of one moment, and leave those that come one by one to the first', async () => {
    const { one, other, engine } = twoCards();
    await Promise.all(Array.from({ length: 6 }, () => makeFeatures(engine)));
    expect([one.calls.length, other.calls.length]).toEqual([3, 3]);
    for (let i = 0; i < 3; i++) await makeFeatures(engine);
    expect([one.calls.length, other.calls.length]).toEqual([6, 3]);
  });

  it('render where the features are', async () => {
    const { one, other, engine } = twoCards();
    const maps = await Promise.all([makeFeatures(engine), makeFeatures(engine)]);
    for (let i = 0; i < 3; i++) await engine.pixels(maps[1]!, [query]);
    expect(one.calls).toEqual(['features']);
    expect(other.calls).toEqual(['features', 'pixels', 'pixels', 'pixels']);
    await expect(twoCards().engine.pixels(maps[0]!, [query])).rejects.toMatchObject({
      _tag: 'RequestError',
    });
  });

  it('take over from one that is lost, which is soon left alone', async () => {
    const { one, other, engine } = twoCards();
    one.lost = true;
    for (let i = 0; i < 5; i++) await makeFeatures(engine);
    expect([one.calls.length, other.calls.length]).toEqual([3, 5]);
    other.lost = true;
    await expect(makeFeatures(engine)).rejects.toThrow('other was lost');
  });

  it('lose no call when one is lost that has features, with an engine to fall back on', async () => {
    const { one, engine } = twoCards();
    const warnings: string[] = [];
    const both = withFallback(engine, openReferenceEngine(model), (text) => warnings.push(text));
    const map = await makeFeatures(both);
    const expected = await both.pixels(map, [query]);
    one.lost = true;
    expect(await both.pixels(map, [query])).toEqual(expected);
    expect(warnings).toEqual(['one was lost; the reference engine stands in']);
    const again = await makeFeatures(both);
    expect(await both.pixels(again, [query])).toEqual(expected);
    const errorsOf = (shown: Samples) => Int16Array.from(shown, (sample) => sample >> 8);
    const gradient = await both.gradient(latents, level, latents.rect, sites, errorsOf, 50);
    expect(gradient).toEqual(
      await openReferenceEngine(model).gradient(latents, level, latents.rect, sites, errorsOf, 50),
    );
    expect(gradient.some((value) => value !== 0)).toBe(true);
    const context = new Int16Array(model.priorChannels).fill(900);
    const derivatives = new Int16Array(2 * model.latentChannels).fill(30);
    const call = [0, context, { height: 1, width: 1 }, derivatives, 50] as const;
    const back = await both.backpropagate(...call);
    expect(back).toEqual(await openReferenceEngine(model).backpropagate(...call));
    expect(back.some((value) => value !== 0)).toBe(true);
  });
});

describe('callers who give up', () => {
  const reason = new EngineError('The picture has been closed');
  const giveUp = (engine: Engine) =>
    expect(engine.features(latents, level, sites, 50, AbortSignal.abort(reason))).rejects.toBe(reason);

  it('are no failures of several cards, even with an error of engines for a reason', async () => {
    const { one, other, engine } = twoCards();
    for (let i = 0; i < 5; i++) await giveUp(engine);
    expect([one.calls.length, other.calls.length]).toEqual([5, 0]);
    await makeFeatures(engine);
  });

  it('bring no other engine in', async () => {
    const card = new Card('one');
    const warnings: string[] = [];
    const both = withFallback(card.engine, openReferenceEngine(model), (text) => warnings.push(text));
    for (let i = 0; i < 5; i++) await giveUp(both);
    await makeFeatures(both);
    expect(card.calls).toHaveLength(6);
    expect(warnings).toEqual([]);
  });
});

it('takes a single engine as it is, and none for an error', () => {
  const engine = openReferenceEngine(model);
  expect(severalAsOne([engine])).toBe(engine);
  expect(() => severalAsOne([])).toThrow(EngineError);
});
