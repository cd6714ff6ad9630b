import { expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import { withGraphics } from '../../src/engine/open-browser-engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { EngineError } from '../../src/errors.ts';
import { parseModel } from '../../src/network/load.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

/** Does nothing, in no time: what is under test is the choice. */
const idle: Engine = {
  ...openReferenceEngine(parseModel(tinyModelBytes({ seed: 5 }))),
  async features(_latents, level, rect) {
    return { rect, level, byteLength: 0, read: async () => new Int16Array(), close() {} };
  },
  pixels: async () => [],
};
const waits =
  (milliseconds: number): Engine['features'] =>
  async (...call) => {
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    return idle.features(...call);
  };
const cpu: Engine = { ...idle, features: waits(10) };
const noCode = new TypeError('Failed to fetch dynamically imported module');
const noCard = new EngineError('WebGPU finds no graphics adapter');

it.each([
  ['code that does not load', false, noCode, [`${noCode.message}; the reference engine stands in`]],
  ['no graphics card', false, noCard, []],
  [
    'no graphics card that was asked for',
    true,
    noCard,
    [`${noCard.message}; the reference engine stands in`],
  ],
])('goes on with the processor where there is %s', async (_what, asked, error, expected) => {
  const warnings: string[] = [];
  const open = () => Promise.reject(error);
  expect(await withGraphics(open, cpu, asked, (text) => warnings.push(text))).toBe(cpu);
  expect(warnings).toEqual(expected);
});

it('closes a graphics card that fails while it is measured, or is slower', async () => {
  const warnings: string[] = [];
  let closed = 0;
  const card = (features: Engine['features']) => async () => ({
    ...cpu,
    features,
    close: async () => void closed++,
  });
  const slow = card(waits(100));
  const broken = card(() => Promise.reject(new TypeError('the card is a brick')));
  for (const open of [slow, broken])
    expect(await withGraphics(open, cpu, false, (text) => warnings.push(text))).toBe(cpu);
  expect(closed).toBe(2);
  expect(warnings).toEqual(['the card is a brick; the reference engine stands in']);
});

it('takes a graphics card that was asked for, or is faster, with the processor to stand in', async () => {
  const open = async (): Promise<Engine> => ({ ...idle, name: 'webgpu' });
  for (const asked of [false, true]) {
    const engine = await withGraphics(open, cpu, asked, () => {});
    expect(engine).not.toBe(cpu);
    expect(engine.name).toBe('webgpu');
  }
});
