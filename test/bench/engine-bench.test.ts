import { expect, it } from 'vitest';
import { BENCH_STEPS, benchEngine } from '../../src/bench/engine-bench.ts';
import { multiplyAdds } from '../../src/bench/multiply-adds.ts';
import { processorSpeed } from '../../src/bench/processor-speed.ts';
import { benchTable, figure } from '../../src/bench/report.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { parseModel } from '../../src/network/load.ts';
import type { Layer } from '../../src/network/model.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

const model = parseModel(tinyModelBytes({ seed: 5 }));

it('measures every stage of an engine, and sets it beside plain kernels', async () => {
  const engine = openReferenceEngine(model);
  const steps: string[] = [];
  const figures = await benchEngine(engine, { seconds: 0.02, onStep: (step) => steps.push(step) });
  expect(steps).toEqual([...BENCH_STEPS]);
  expect(figures).toMatchObject({ engine: 'reference', exact: true, threads: 1 });
  expectPositive(figures.plain);
  expectPositive(figures.features);
  expectPositive(figures.entropy!.latents);
  expectPositive(figures.picture);
  expect(figures.entropy!.decodeMegapixels).toBeGreaterThan(0);
  expect(figures.tiles.map(({ scale }) => scale)).toEqual(expect.arrayContaining([1, 2]));
  for (const tiles of figures.tiles) expectPositive(tiles);
  expect(figures.features.share).toBeCloseTo(figures.features.gigaMacs / figures.plain.gigaMacs, 9);

  const lines = benchTable([figures, { engine: 'webgpu', problem: 'no adapter' }]);
  expect(lines.map((line) => line.slice(0, 34).trim())).toEqual(
    expect.arrayContaining([
      'computes on',
      'plain dense kernel, GMAC/s',
      'plain copy, GB/s',
      'features, megapixels/s',
      'arithmetic, GMAC/s',
      'share of the plain kernel',
      'entropy decoding, megapixels/s',
      'encode, s',
      'decode, s',
    ]),
  );
  expect(lines.join('\n')).toMatch(/tiles\/s, native scale, 1 a call/);
  expect(lines.at(-1)).toBe('webgpu: no adapter');
});

it('writes shares of more than all in full', async () => {
  const figures = await benchEngine(openReferenceEngine(model), { seconds: 0.01 });
  const shares = [0.0712, 0.994, 1, 12.34].map((share) => {
    const lines = benchTable([{ ...figures, features: { ...figures.features, share } }]);
    return lines
      .find((line) => line.startsWith('  share of the plain kernel'))!
      .slice(-6)
      .trim();
  });
  expect(shares).toEqual(['7.1 %', '99 %', '100 %', '1234 %']);
});

it('takes the device from an engine that has one, and leaves entropy coding to exact ones', async () => {
  const engine: Engine = {
    ...openReferenceEngine(model),
    exact: false,
    device: 'a card',
    plainSpeed: async () => ({ gigaMacs: 5, copyGigabytes: 7 }),
  };
  const figures = await benchEngine(engine, { seconds: 0.01 });
  expect(figures.device).toBe('a card');
  expect(figures.plain).toEqual({ gigaMacs: 5, copyGigabytes: 7 });
  expect(figures.entropy).toBeUndefined();
});

it('stops when it is told to', async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('enough')), 50);
  const { signal } = controller;
  await expect(benchEngine(openReferenceEngine(model), { seconds: 30, signal })).rejects.toThrow('enough');
});

it('measures plain code on as many threads as are asked for', async () => {
  expectPositive(await processorSpeed(2, 0.05));
});

it('counts multiply-adds with the halo that a window needs', () => {
  const conv = (inputs: number, outputs: number, kernel: 1 | 3): Layer => ({
    op: 'conv',
    kernel,
    inputs,
    outputs,
    weight: new Int16Array(),
    bias: new Int32Array(),
    biasRows: 1,
    shift: 0,
    limit: 1,
    leaky: false,
  });
  const layers: Layer[] = [conv(2, 8, 3), conv(8, 32, 1), { op: 'shuffle', factor: 2 }, conv(8, 16, 3)];
  const whole = { height: 10, width: 10 };
  const inMiddle = { top: 8, left: 8, height: 2, width: 2 };
  // 2x2 outputs read 4x4, those are 4x4 of 2x2 shuffled from 3x3 (rows 3..5), of whose inputs 3x3 are
  // computed.
  expect(multiplyAdds(layers, whole, inMiddle)).toBe(4 * 9 * 8 * 16 + 9 * 8 * 32 + 9 * 9 * 2 * 8);
  expect(multiplyAdds(layers, whole, { top: 0, left: 0, height: 20, width: 20 })).toBe(
    400 * 9 * 8 * 16 + 100 * 8 * 32 + 100 * 9 * 2 * 8,
  );
});

it.each([
  [0.00123, '0.0012'],
  [1.234, '1.2'],
  [12.34, '12.3'],
  [1234.5, '1235'],
  [Number.NaN, '-'],
])('writes %d as %s', (value, text) => expect(figure(value)).toBe(text));

function expectPositive(figures: object): void {
  for (const [name, value] of Object.entries(figures))
    if (typeof value === 'number') expect(value, name).toBeGreaterThan(0);
}
