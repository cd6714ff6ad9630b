import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type {
  Engine,
  Extent,
  FeatureMap,
  FeaturePart,
  Patch,
  Query,
  Rect,
  SamplePart,
  Samples,
} from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { gridSpan, sampleAxis } from '../../src/head/query.ts';
import { backNetwork, type ChunkNetwork } from '../../src/network/back-network.ts';
import { hyperExtent } from '../../src/network/chunk-size.ts';
import { parseModel } from '../../src/network/load.ts';
import type { Model } from '../../src/network/model.ts';
import { analysisWindow, extentAfter, latentWindow, whole } from '../../src/network/window.ts';
import { Reducer } from '../../src/pixels/reduce.ts';
import { randomSource, type TinyModelOptions, tinyModelBytes } from '../fixtures/tiny-model.ts';

/** What an engine's own test file says of it. */
export interface ConformanceOptions {
  /**
   * `exact`, for what the engine leaves to another, gives results of the reference that were computed before.
   * It is not to be closed.
   */
  readonly openEngine: (model: Model, exact: Engine) => Promise<Engine>;
  /** Models to run; an engine that is slow on this machine may take fewer. Default: all of them. */
  readonly models?: readonly TinyModelOptions[];
  /** Likewise. Default: the first, the last and one between. */
  readonly qualities?: readonly number[];
  /**
   * For an engine that is not exact: how far P and samples of 8 bits may be off; 16 bits 257 times as far.
   * Default 0.
   */
  readonly within?: { readonly features: number; readonly samples: number };
  /**
   * Whether it has gradients; default true. Engines in pages, which do not encode, are to say that they have
   * none.
   */
  readonly gradients?: boolean;
}

/** Channel counts of all residues that kernels care about, a deeper network, and layers in unusual places. */
export const MODELS: readonly TinyModelOptions[] = [
  { seed: 5 },
  { seed: 6, latentChannels: 32, hyperChannels: 16, priorChannels: 8, hidden: 8, precision: 12 },
  { seed: 7, latentChannels: 64, hyperChannels: 24, priorChannels: 40, hidden: 40, blocks: 2, precision: 13 },
  { seed: 8, residualPrior: true, rowAnalysis: true },
];

const LEVEL = { height: 5, width: 7 };
const STRIDE = 16;
const SITES = { height: LEVEL.height * STRIDE, width: LEVEL.width * STRIDE };
const CHUNKS: readonly Extent[] = [
  { height: 1, width: 1 },
  { height: 1, width: 7 },
  { height: 6, width: 3 },
  { height: 8, width: 8 },
  { height: 9, width: 13 },
];
const WINDOWS: readonly (readonly [string, Rect])[] = [
  ['the whole level', { top: 0, left: 0, ...SITES }],
  ['one site', { top: 40, left: 57, height: 1, width: 1 }],
  ['the first corner', { top: 0, left: 0, height: 17, width: 5 }],
  ['the last corner', { top: SITES.height - 19, left: SITES.width - 3, height: 19, width: 3 }],
  ['the middle', { top: 33, left: 35, height: 13, width: 31 }],
  ['a row from side to side', { top: 31, left: 0, height: 2, width: SITES.width }],
];
/** Region and size of the output: scales from 1/4 to 2^60, borders, fractions, one pixel. */
const VIEWS: readonly {
  readonly what: string;
  readonly region: readonly [x: Exact, y: Exact, width: Exact, height: Exact];
  readonly width: number;
  readonly height: number;
}[] = [
  { what: 'native scale', region: [3n, 5n, 40n, 30n], width: 40, height: 30 },
  { what: 'a quarter', region: [0n, 0n, 112n, 80n], width: 28, height: 20 },
  { what: 'four times, over the corner', region: [-2n, -1n, 9n, 7n], width: 36, height: 28 },
  { what: 'four times, over the last corner', region: [106n, 75n, 9n, 8n], width: 36, height: 32 },
  {
    what: 'unequal sides, fractions',
    region: [
      [31n, 3n],
      [77n, 10n],
      [100n, 7n],
      [9n, 2n],
    ],
    width: 23,
    height: 37,
  },
  {
    what: '2^60 times',
    region: [[57n * 2n ** 60n + 3n, 2n ** 60n], 41n, [33n, 2n ** 60n], [21n, 2n ** 60n]],
    width: 33,
    height: 21,
  },
  { what: 'one pixel', region: [50n, 50n, 1n, 1n], width: 1, height: 1 },
];

/**
 * Reductions: what is reduced (start and length of rows and columns), to how many pixels, and how many times
 * denser the grid is.
 */
const REDUCTIONS: readonly { what: string; rows: ReducedView; columns: ReducedView }[] = [
  { what: 'to a half', rows: [0n, 48n, 24, 2], columns: [0n, 60n, 30, 2] },
  { what: 'a part to a quarter', rows: [8n, 32n, 8, 4], columns: [20n, 36n, 9, 4] },
  { what: 'an odd scale', rows: [3n, 37n, 11, 4], columns: [5n, 41n, 23, 2] },
  { what: 'columns alone', rows: [10n, 21n, 21, 1], columns: [0n, 64n, 16, 4] },
  { what: 'rows alone', rows: [0n, 48n, 17, 4], columns: [2n, 7n, 7, 1] },
  { what: 'to a ninth, by means', rows: [1n, 47n, 5, 16], columns: [0n, 63n, 9, 8] },
  { what: 'to a pixel', rows: [0n, 48n, 1, 64], columns: [0n, 64n, 1, 64] },
  { what: 'across the border', rows: [-30n, 60n, 19, 4], columns: [40n, 80n, 35, 4] },
  { what: 'above the picture', rows: [-100n, 20n, 10, 2], columns: [0n, 20n, 10, 2] },
  { what: 'beyond the picture', rows: [400n, 20n, 5, 4], columns: [500n, 20n, 10, 2] },
];
/** What the rate of a chunk depends on. */
const RATES = ['slopes', 'tableSlopes', 'hyperSlopes', 'hyper', 'hyperLatents', 'context'] as const;
const CHUNK_NETWORKS: readonly ChunkNetwork[] = ['hyperSynthesis', 0, 1, 2, 3];
/** Latents that may change, and pixels that are off. */
const GRADIENTS = [
  {
    what: 'a window of the level',
    latents: { top: 1, left: 2, height: 3, width: 2 },
    pixels: { top: 16, left: 32, height: 48, width: 32 },
  },
  {
    what: 'the whole level, whose last latents reach beyond the picture',
    latents: { top: 0, left: 0, ...LEVEL },
    pixels: { top: 0, left: 0, height: SITES.height - 5, width: SITES.width - 13 },
  },
  {
    what: 'some pixels of one latent',
    latents: { top: 4, left: 6, height: 1, width: 1 },
    pixels: { top: 67, left: 98, height: 3, width: 5 },
  },
] as const;
type ReducedView = readonly [start: bigint, length: bigint, count: number, density: number];

type Exact = bigint | readonly [bigint, bigint];

/**
 * The contract of `src/engine/engine.ts`, for every engine: equal bytes to the reference (or as near as is
 * allowed), whatever the shape.
 */
export function runEngineTests({
  openEngine,
  models = MODELS,
  qualities = [1, 37, 100],
  within,
  gradients = true,
}: ConformanceOptions): void {
  const expectFeatures = (found: Values, expected: Values, what: string) =>
    expectWithin(within?.features ?? 0, found, expected, what);
  const expectSamples = (found: Values, expected: Values, what: string) =>
    expectWithin((within?.samples ?? 0) * (expected instanceof Uint16Array ? 257 : 1), found, expected, what);

  describe.each(models.map((options) => [JSON.stringify(options), options] as const))(
    'model %s',
    (_, options) => {
      const reference = referenceOf(options);
      const { model } = reference;
      let engine: Engine;
      beforeAll(async () => {
        engine = await openEngine(model, reference);
      });
      afterAll(() => engine.close());

      it.each(WINDOWS)('computes features over %s', async (_where, sites) => {
        const latents = randomPatch(model.latentChannels, latentWindow(model, sites, LEVEL), 11, 18000);
        for (const quality of qualities) {
          const expected = await reference.features(latents, LEVEL, sites, quality);
          const features = await engine.features(latents, LEVEL, sites, quality);
          expect(features).toMatchObject({ rect: sites, level: SITES });
          expectFeatures(await features.read(), await expected.read(), `P at quality ${quality}`);
          features.close();
        }
      });

      it('computes features from latents that cover more than they need', async () => {
        const latents = randomPatch(model.latentChannels, { top: 0, left: 0, ...LEVEL }, 12, 18000);
        const sites = { top: 37, left: 50, height: 6, width: 9 };
        const expected = await reference.features(latents, LEVEL, sites, 50);
        const features = await engine.features(latents, LEVEL, sites, 50);
        expectFeatures(await features.read(), await expected.read(), 'P');
        features.close();
      });

      it('renders every view, alone and many in one call', async () => {
        const sites = { top: 0, left: 0, ...SITES };
        const latents = randomPatch(model.latentChannels, { top: 0, left: 0, ...LEVEL }, 13, 18000);
        const queries = VIEWS.flatMap((view) => [queryOf(view, 8), queryOf(view, 16)]);
        const expected = await reference.pixels(await reference.features(latents, LEVEL, sites, 60), queries);
        const features = await engine.features(latents, LEVEL, sites, 60);
        const together = await engine.pixels(features, queries);
        for (const [i, query] of queries.entries()) {
          const what = `${VIEWS[i >> 1]!.what}, ${query.depth} bits`;
          expectSamples(together[i]!, expected[i]!, what);
          expectSamples((await engine.pixels(features, [query]))[0]!, expected[i]!, `${what}, alone`);
        }
        features.close();
      });

      it('renders from a window of the features what the whole gives', async () => {
        const latents = randomPatch(model.latentChannels, { top: 0, left: 0, ...LEVEL }, 13, 18000);
        const query = queryOf(VIEWS[4]!, 8);
        const sites = { top: 6, left: 9, height: 10, width: 20 };
        const whole = await reference.features(latents, LEVEL, { top: 0, left: 0, ...SITES }, 60);
        const [expected] = await reference.pixels(whole, [query]);
        const features = await engine.features(latents, LEVEL, sites, 60);
        const [samples] = await engine.pixels(features, [query]);
        expectSamples(samples!, expected!, 'samples');
        features.close();
      });

      it.each(REDUCTIONS)('reduces $what, where it reduces at all', async ({ rows, columns }) => {
        // Others ask for the grid's pixels, which other tests look at.
        if (!engine.reduce) {
          expect(engine.name).not.toBe('wasm');
          return;
        }
        const latents = randomPatch(model.latentChannels, { top: 0, left: 0, ...LEVEL }, 13, 18000);
        const row = reducedAxis(rows, SITES.height);
        const column = reducedAxis(columns, SITES.width);
        const grid: Query = { rows: row.sampled, columns: column.sampled, depth: 8 };
        const whole = await reference.features(latents, LEVEL, { top: 0, left: 0, ...SITES }, 60);
        const [samples] = await reference.pixels(whole, [grid]);
        const size = { height: row.sampled.index.length, width: column.sampled.index.length };
        for (const gray of [false, true]) {
          const reducer = new Reducer(gray ? 1 : 3, 8, row.reduced, column.reduced);
          reducer.push(gray ? grayOf(samples!) : samples!);
          const expected = reducer.finish().data;
          for (const cuts of [[0], [0, 1, 6], [0, Math.floor(size.width / 2)]]) {
            const parts = await partsOf(engine, latents, grid, size, cuts);
            const reduction = { grid, rows: row.reduced, columns: column.reduced, gray, parts };
            const known = parts.map(({ rect }) => knownPart(gray ? grayOf(samples!) : samples!, size, rect));
            const mixed = parts.map((part, i) => (i % 2 === 0 ? part : known[i]!));
            const what = `${gray ? 'gray' : 'color'}, cut at ${cuts}`;
            expectSamples(await engine.reduce(reduction), expected, what);
            expectSamples(
              await engine.reduce({ ...reduction, parts: mixed }),
              expected,
              `half known, ${what}`,
            );
            for (const { features } of parts) features.close();
            expectSamples(await engine.reduce({ ...reduction, parts: known }), expected, `known, ${what}`);
          }
        }
      });

      it.each([
        ['the whole picture', { top: 0, left: 0, height: 3, width: 4 }],
        ['its last latent', { top: 2, left: 3, height: 1, width: 1 }],
        ['a window', { top: 1, left: 0, height: 2, width: 3 }],
      ])('analyzes %s', async (_where, latents) => {
        const picture = { height: 41, width: 64 };
        const pixels = randomPatch(3, analysisWindow(model, latents, picture), 14, 8000);
        for (const quality of qualities) {
          const expected = await reference.analyze(pixels, picture, latents, quality);
          expectSame(
            await engine.analyze(pixels, picture, latents, quality),
            expected,
            `at quality ${quality}`,
          );
        }
      });

      it.each(CHUNKS)('codes chunks of $height x $width latents', async (chunk) => {
        const analysis = randomPatch(model.latentChannels, { top: 0, left: 0, ...chunk }, 15, 18000).data;
        const given = randomPatch(model.hyperChannels, whole(hyperExtent(model, chunk)), 24, 9000).data;
        for (const [quality, hyper] of qualities.flatMap((q) => [
          [q, undefined] as const,
          [q, given] as const,
        ])) {
          const expected = await reference.encodeChunk(analysis, chunk, quality, hyper);
          const encoded = await engine.encodeChunk(analysis, chunk, quality, hyper);
          expectSame(encoded.bytes, expected.bytes, `bytes at quality ${quality}`);
          expectSame(encoded.latents, expected.latents, `latents at quality ${quality}`);
          for (const name of RATES)
            expectSame(encoded.rate[name], expected.rate[name], `${name} at quality ${quality}`);
          if (hyper) expectSame(encoded.rate.hyper, given, 'what hyper latents were given');
          expectSame(
            await engine.decodeChunk(encoded.bytes, chunk, quality),
            expected.latents,
            'decoded latents',
          );
        }
      });

      if (gradients) {
        it.each(GRADIENTS)('follows the gradient of $what', async ({ latents, pixels }) => {
          const coded = randomPatch(model.latentChannels, { top: 0, left: 0, ...LEVEL }, 17, 4000);
          // Some are beyond what engines hold errors within.
          const errors = randomPatch(3, pixels, 18, 20000);
          for (const quality of qualities) {
            const shown: Samples[] = [];
            const errorsOf = (samples: Samples) => {
              shown.push(samples);
              return errors.data;
            };
            const expected = await reference.gradient(coded, LEVEL, latents, pixels, errorsOf, quality);
            const found = await engine.gradient(coded, LEVEL, latents, pixels, errorsOf, quality);
            expectSame(shown[1]!, shown[0]!, `samples at quality ${quality}`);
            expectSame(found, expected, `at quality ${quality}`);
          }
        });

        it.each(CHUNK_NETWORKS)('runs chunk network %s backwards', async (network) => {
          if (options.residualPrior && typeof network === 'number') {
            const call = engine.backpropagate(network, new Int16Array(), LEVEL, new Int16Array(), 60);
            await expect(call).rejects.toMatchObject({ _tag: 'UnsupportedError' });
            return;
          }
          for (const extent of CHUNKS) {
            const { input, derivatives } = backpropagation(model, network, extent);
            for (const quality of qualities) {
              const call = [network, input.data, input.extent, derivatives, quality] as const;
              const expected = await reference.backpropagate(...call);
              expectSame(await engine.backpropagate(...call), expected, `at quality ${quality}`);
            }
          }
        });
      } else {
        it('says that it has no gradients', async () => {
          const [{ latents, pixels }] = GRADIENTS;
          const coded = randomPatch(model.latentChannels, { top: 0, left: 0, ...LEVEL }, 17, 4000);
          const gradient = engine.gradient(coded, LEVEL, latents, pixels, () => new Int16Array(), 60);
          await expect(gradient).rejects.toMatchObject({ _tag: 'UnsupportedError' });
          const { input, derivatives } = backpropagation(model, 0, LEVEL);
          const back = engine.backpropagate(0, input.data, input.extent, derivatives, 60);
          await expect(back).rejects.toMatchObject({ _tag: 'UnsupportedError' });
        });
      }

      // What follows does not depend on the layers of a model.
      if (options !== models[0]) return;

      it('may put samples where they are wanted, if there is just the room for them', async () => {
        const latents = randomPatch(model.latentChannels, { top: 0, left: 0, ...LEVEL }, 13, 18000);
        const map = await engine.features(latents, LEVEL, { top: 0, left: 0, ...SITES }, 60);
        const axis = sampleAxis(3n, 20n, 11, 1n, SITES.height);
        const query: Query = { rows: axis, columns: axis, depth: 8 };
        const [expected] = await engine.pixels(map, [query]);
        const fitting = new Uint8Array(expected!.length).fill(99);
        const longer = new Uint8Array(expected!.length + 1).fill(99);
        const queries = [fitting, longer].map((into) => ({ ...query, into }));
        for (const found of await engine.pixels(map, queries)) expectSame(found, expected!, 'samples');
        expect([expected, Uint8Array.from(fitting, () => 99)]).toContainEqual(fitting);
        expect(longer.every((value) => value === 99)).toBe(true);
        map.close();
      });

      it('refuses to reduce a grid that is not covered', async () => {
        if (!engine.reduce) return;
        const latents = randomPatch(model.latentChannels, { top: 0, left: 0, ...LEVEL }, 13, 18000);
        const axis = reducedAxis([0n, 16n, 8, 2], SITES.height);
        const grid: Query = { rows: axis.sampled, columns: axis.sampled, depth: 8 };
        const side = axis.sampled.index.length;
        const reduction = { grid, rows: axis.reduced, columns: axis.reduced, gray: false };
        const [part] = await partsOf(engine, latents, grid, { height: side, width: side }, [0]);
        const small = { ...part!, rect: { top: 0, left: 0, height: side, width: side - 1 } };
        await expect(engine.reduce({ ...reduction, parts: [small] })).rejects.toMatchObject({
          _tag: 'RequestError',
        });
        const known = { samples: new Uint8Array(3 * side ** 2 - 1), pitch: 3 * side };
        await expect(
          engine.reduce({ ...reduction, parts: [{ ...known, rect: part!.rect }] }),
        ).rejects.toMatchObject({ _tag: 'RequestError' });
        part!.features.close();
        await expect(engine.reduce({ ...reduction, parts: [part!] })).rejects.toMatchObject({
          _tag: 'EngineError',
        });
      });

      if (gradients)
        it('refuses a gradient of pixels that no latent given has, of latents that are not given, or without all errors', async () => {
          const coded = randomPatch(model.latentChannels, { top: 0, left: 0, ...LEVEL }, 17, 4000);
          const [{ latents, pixels }] = GRADIENTS;
          const errorsOf = ({ length }: Samples) => new Int16Array(length);
          const refused = { _tag: 'RequestError' };
          const beyond = { ...pixels, width: pixels.width + STRIDE };
          await expect(engine.gradient(coded, LEVEL, latents, beyond, errorsOf, 60)).rejects.toMatchObject(
            refused,
          );
          const few = randomPatch(model.latentChannels, latents, 17, 4000);
          await expect(engine.gradient(few, LEVEL, latents, pixels, errorsOf, 60)).rejects.toMatchObject(
            refused,
          );
          const less = () => new Int16Array(3);
          await expect(engine.gradient(coded, LEVEL, latents, pixels, less, 60)).rejects.toMatchObject(
            refused,
          );
        });

      if (gradients)
        it('refuses to run a chunk network backwards from what does not fit it', async () => {
          const { input, derivatives } = backpropagation(model, 'hyperSynthesis', LEVEL);
          const { extent, data } = input;
          const refused = { _tag: 'RequestError' };
          const run = (of: Int16Array, by: Int16Array) =>
            expect(engine.backpropagate('hyperSynthesis', of, extent, by, 60)).rejects.toMatchObject(refused);
          await run(data.subarray(1), derivatives);
          await run(data, derivatives.subarray(1));
          const { limit } = backNetwork(model, 'hyperSynthesis');
          await run(data, derivatives.fill(-limit - 1, derivatives.length - 1));
        });

      it('refuses damaged chunks as the reference does, and goes on', async () => {
        const chunk = { height: 4, width: 5 };
        const analysis = randomPatch(model.latentChannels, { top: 0, left: 0, ...chunk }, 16, 18000).data;
        const outcome = (by: Engine, data: Uint8Array, quality: number) =>
          by.decodeChunk(data, chunk, quality).then(
            (latents) => [...latents],
            ({ _tag, section, byteOffset, message }) => ({ _tag, section, byteOffset, message }),
          );
        for (const quality of qualities) {
          const { bytes } = await reference.encodeChunk(analysis, chunk, quality);
          const { length } = bytes;
          const lengths = [0, 14, 15, 16, length >> 1, (length >> 2) * 2, length - 4, length - 2, length - 1];
          const most = 16 + 8 * (model.hyperChannels * 2 + model.latentChannels * 20);
          const damaged = [
            ...lengths.map((to) => bytes.slice(0, to)),
            ...[2, 4, most - length, most + 2 - length].map((more) => padded(bytes, more)),
            ...[0, 9, 15, 16, 17, 20, length >> 1, length - 1].map((at) =>
              flipped(bytes, Math.min(at, length - 1)),
            ),
          ];
          for (const [i, data] of damaged.entries()) {
            const what = `damage ${i} at quality ${quality}`;
            expect(await outcome(engine, data, quality), what).toEqual(
              await outcome(reference, data, quality),
            );
          }
          expect(await outcome(engine, bytes.slice(0, -2), quality)).toMatchObject({ _tag: 'FormatError' });
        }
        const { bytes } = await reference.encodeChunk(analysis, chunk, 60);
        await engine.decodeChunk(bytes, chunk, 60);
      });

      it('keeps apart calls that overlap', async () => {
        const chunk = { height: 4, width: 5 };
        const work = async (seed: number, by: Engine) => {
          const analysis = randomPatch(model.latentChannels, { top: 0, left: 0, ...chunk }, seed, 18000).data;
          const { bytes } = await by.encodeChunk(analysis, chunk, 60);
          const data = await by.decodeChunk(bytes, chunk, 60);
          const latents = { rect: { top: 0, left: 0, ...chunk }, channels: model.latentChannels, data };
          const sites = { top: seed, left: 2 * seed, height: 40, width: 40 };
          const features = await by.features(latents, chunk, sites, 60);
          const query = queryOf({ region: [20n, 20n, 16n, 16n], width: 30, height: 24 }, 8);
          const [samples] = await by.pixels(features, [query]);
          if (by === engine) features.close();
          return samples!;
        };
        const seeds = [1, 2, 3, 4];
        const found = await Promise.all(seeds.map((seed) => work(seed, engine)));
        for (const [i, seed] of seeds.entries())
          expectSamples(found[i]!, await work(seed, reference), `call ${seed}`);
      });

      it('rejects aborted calls with the reason, before and while they run, and goes on', async () => {
        const latents = randomPatch(model.latentChannels, { top: 0, left: 0, ...LEVEL }, 17, 18000);
        const sites = { top: 0, left: 0, ...SITES };
        const reason = new Error('nobody waits for it');
        await expect(engine.features(latents, LEVEL, sites, 60, AbortSignal.abort(reason))).rejects.toBe(
          reason,
        );
        const controller = new AbortController();
        const running = engine.features(latents, LEVEL, sites, 60, controller.signal);
        controller.abort(reason);
        await expect(running).rejects.toBe(reason);
        const features = await engine.features(latents, LEVEL, sites, 60);
        const expected = await reference.features(latents, LEVEL, sites, 60);
        expectFeatures(await features.read(), await expected.read(), 'P after an aborted call');
        features.close();
      });

      it.each([0, 101, 1.5, Number.NaN])('refuses quality %s', async (quality) => {
        const latents = randomPatch(model.latentChannels, { top: 0, left: 0, ...LEVEL }, 18, 100);
        const sites = { top: 0, left: 0, height: 1, width: 1 };
        await expect(engine.features(latents, LEVEL, sites, quality)).rejects.toMatchObject({
          _tag: 'RequestError',
        });
        await expect(engine.decodeChunk(new Uint8Array(16), LEVEL, quality)).rejects.toMatchObject({
          _tag: 'RequestError',
        });
      });

      it('refuses latents and pixels that do not cover what is asked for', async () => {
        const latents = randomPatch(model.latentChannels, { top: 0, left: 0, height: 1, width: 1 }, 19, 100);
        await expect(
          engine.features(latents, LEVEL, { top: 40, left: 40, height: 1, width: 1 }, 60),
        ).rejects.toMatchObject({ _tag: 'RequestError' });
        const pixels = randomPatch(3, { top: 0, left: 0, height: 16, width: 16 }, 20, 100);
        await expect(
          engine.analyze(pixels, { height: 64, width: 64 }, { top: 0, left: 0, height: 4, width: 4 }, 60),
        ).rejects.toMatchObject({ _tag: 'RequestError' });
      });

      // The last of all: `afterAll` closes the engine again, which does no harm.
      it('rejects calls after it was closed, and reads of closed features', async () => {
        const latents = randomPatch(model.latentChannels, { top: 0, left: 0, ...LEVEL }, 21, 18000);
        const sites = { top: 0, left: 0, height: 3, width: 3 };
        const features = await engine.features(latents, LEVEL, sites, 60);
        features.close();
        await expect(features.read()).rejects.toMatchObject({ _tag: 'EngineError' });
        await engine.close();
        await expect(engine.features(latents, LEVEL, sites, 60)).rejects.toMatchObject({
          _tag: 'EngineError',
        });
      });
    },
  );
}

const references = new Map<TinyModelOptions, Engine>();

/**
 * The reference of a model, which computes each thing once for all tests of a file. Its feature maps are not
 * to be closed.
 */
function referenceOf(options: TinyModelOptions): Engine {
  const opened =
    references.get(options) ?? remembering(openReferenceEngine(parseModel(tinyModelBytes(options))));
  references.set(options, opened);
  return opened;
}

function remembering(reference: Engine): Engine {
  const results = new Map<string, Promise<unknown>>();
  const maps = new Map<FeatureMap, number>();
  const digested = (_: string, value: unknown) =>
    ArrayBuffer.isView(value)
      ? createHash('sha256')
          .update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
          .digest('hex')
      : value;
  const once = <T>(args: readonly unknown[], make: () => Promise<T>): Promise<T> => {
    const key = JSON.stringify(args, digested);
    const result = (results.get(key) as Promise<T> | undefined) ?? make();
    results.set(key, result);
    return result;
  };
  return {
    ...reference,
    analyze: (...call) => once(['analyze', ...call], () => reference.analyze(...call)),
    encodeChunk: (...call) => once(['encodeChunk', ...call], () => reference.encodeChunk(...call)),
    decodeChunk: (...call) => once(['decodeChunk', ...call], () => reference.decodeChunk(...call)),
    async features(...call) {
      const map = await once(['features', ...call], () => reference.features(...call));
      if (!maps.has(map)) maps.set(map, maps.size);
      return map;
    },
    pixels: (map, queries) => once(['pixels', maps.get(map), queries], () => reference.pixels(map, queries)),
    backpropagate: (...call) => once(['backpropagate', ...call], () => reference.backpropagate(...call)),
    async gradient(latents, level, window, pixels, errorsOf, quality) {
      let asked = false;
      const { samples, slopes } = await once(
        ['gradient', latents, level, window, pixels, quality],
        async () => {
          let samples!: Samples;
          const errorsOfThese = (shown: Samples) => {
            asked = true;
            samples = shown;
            return errorsOf(shown);
          };
          return {
            slopes: await reference.gradient(latents, level, window, pixels, errorsOfThese, quality),
            samples,
          };
        },
      );
      if (!asked) errorsOf(samples);
      return slopes;
    },
  };
}

/** Whatever a network of chunks may read and get, for a chunk of `extent` latents. */
function backpropagation(model: Model, network: ChunkNetwork, chunk: Extent) {
  const { layers, input, outputs, limit } = backNetwork(model, network);
  const extent = network === 'hyperSynthesis' ? hyperExtent(model, chunk) : chunk;
  const made = whole(extentAfter(layers, extent));
  return {
    input: { extent, data: randomPatch(input.limits.length, whole(extent), 22, input.limits[0]!).data },
    derivatives: randomPatch(outputs, made, 23, limit).data,
  };
}

function queryOf(
  { region, width, height }: Pick<(typeof VIEWS)[number], 'region' | 'width' | 'height'>,
  depth: 8 | 16,
): Query {
  const [x, y, w, h] = region.map((value) =>
    typeof value === 'bigint' ? value : { numerator: value[0], denominator: value[1] },
  );
  return {
    rows: sampleAxis(y!, h!, height, 1n, SITES.height),
    columns: sampleAxis(x!, w!, width, 1n, SITES.width),
    depth,
  };
}

function reducedAxis([start, length, count, m]: ReducedView, sites: number) {
  const span = gridSpan(start, length, count, m, BigInt(sites), 0, count);
  const end = span.first + BigInt(span.count);
  return {
    reduced: { density: m, span, count },
    sampled: sampleAxis(start, length, count * m, 1n, sites, span.first, end),
  };
}

/** The grid in squares that begin at `cuts`, each with just the features that it needs. */
function partsOf(
  engine: Engine,
  latents: Patch,
  { rows, columns }: Query,
  size: Extent,
  cuts: readonly number[],
): Promise<FeaturePart[]> {
  const runs = (index: Int32Array, length: number, sites: number) =>
    cuts
      .filter((cut, i) => cut < length && cuts.indexOf(cut) === i)
      .map((from, i, all) => {
        const to = all[i + 1] ?? length;
        const near = (site: number) => Math.max(0, Math.min(sites - 1, site));
        const first = near(index[from]!);
        return { from, count: to - from, first, sites: near(index[to - 1]! + 1) - first + 1 };
      });
  const work = runs(rows.index, size.height, SITES.height).flatMap((row) =>
    runs(columns.index, size.width, SITES.width).map((column) => ({ row, column })),
  );
  return Promise.all(
    work.map(async ({ row, column }) => {
      const sites = { top: row.first, left: column.first, height: row.sites, width: column.sites };
      return {
        features: await engine.features(latents, LEVEL, sites, 60),
        rect: { top: row.from, left: column.from, height: row.count, width: column.count },
      };
    }),
  );
}

/** Samples of a whole grid as those of a part of it, nothing behind its last. */
function knownPart(grid: Samples, size: Extent, rect: Rect): SamplePart {
  const channels = grid.length / (size.height * size.width);
  const pitch = size.width * channels;
  const first = rect.top * pitch + rect.left * channels;
  const samples = Uint8Array.from(
    grid.subarray(first, first + (rect.height - 1) * pitch + rect.width * channels),
  );
  return { samples, pitch, rect };
}

/** Spec 4.6. */
function grayOf(samples: Samples): Samples {
  return Uint8Array.from({ length: samples.length / 3 }, (_, i) => {
    const [red, green, blue] = samples.subarray(3 * i, 3 * i + 3);
    return (red! + 2 * green! + blue! + 2) >> 2;
  });
}

/** Mostly small values, a tenth up to `limit`. */
function randomPatch(channels: number, rect: Rect, seed: number, limit: number): Patch {
  const random = randomSource(seed);
  const data = Int16Array.from({ length: rect.height * rect.width * channels }, () =>
    Math.round((random() * 2 - 1) * (random() < 0.1 ? limit : limit / 6)),
  );
  return { rect, channels, data };
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at]! ^= 0x10;
  return copy;
}

function padded(bytes: Uint8Array, more: number): Uint8Array {
  const longer = new Uint8Array(bytes.length + more);
  longer.set(bytes);
  return longer;
}

type Values = Int16Array | Uint8Array | Samples;

function expectSame(found: Values, expected: Values, what: string): void {
  expectWithin(0, found, expected, what);
}

/**
 * Names the first difference beyond `limit`: comparing arrays of this size element by element in the
 * assertion would take minutes.
 */
function expectWithin(limit: number, found: Values, expected: Values, what: string): void {
  let at = 0;
  while (at < expected.length && Math.abs(found[at]! - expected[at]!) <= limit) at++;
  const difference =
    at < expected.length ? `${what}: at ${at} expected ${expected[at]} but found ${found[at]}` : undefined;
  expect(difference).toBeUndefined();
  expect(found.length).toBe(expected.length);
}
