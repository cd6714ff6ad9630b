import { expect, it } from 'vitest';
import { codeWindow } from '../../src/analysis/coded-window.ts';
import { rateGradient } from '../../src/analysis/rate-gradient.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { loadModel } from '../../src/network/load.ts';
import { copyOverlap, cut } from '../../src/network/window.ts';
import { randomSource, tinyModelBytes } from '../fixtures/tiny-model.ts';

const model = await loadModel(tinyModelBytes());
const channels = model.latentChannels;
const rect = { top: 5, left: 0, height: 6, width: 10 };
const random = randomSource(4);
const data = Int16Array.from({ length: 60 * channels }, () => 12000 * (random() - 0.5));

/** The reference engine, which remembers the chunks that it was asked for. */
function watched(): { engine: Engine; asked: string[] } {
  const reference = openReferenceEngine(model);
  const asked: string[] = [];
  const encodeChunk: Engine['encodeChunk'] = (window, extent, ...call) => {
    asked.push(`${extent.height} x ${extent.width}`);
    return reference.encodeChunk(window, extent, ...call);
  };
  return { engine: { ...reference, encodeChunk }, asked };
}

const rated = { top: 8, left: 0, height: 3, width: 10 };
/** The second chunk of `rated`. */
const piece = { top: 8, left: 8, height: 3, width: 2 };
const extent = { height: 3, width: 2 };

/** The part of `piece` in a tensor over `rated`. */
function ofPiece(tensor: Float64Array): Float64Array {
  const part = new Float64Array(6 * channels);
  copyOverlap(tensor, rated, part, piece, channels);
  return part;
}

it('codes a window by the chunks that it touches, each with the part inside, and puts them together again', async () => {
  const { engine, asked } = watched();
  const found = await codeWindow(engine, { rect, channels, data }, rated, undefined, 8, 60);
  expect(asked).toEqual(['3 x 8', '3 x 2', '3 x 8', '3 x 2']);
  expect(found.latents).toMatchObject({ rect, channels });

  const coded = await engine.encodeChunk(cut(data, rect, piece, channels), extent, 60);
  expect(cut(found.latents.data, rect, piece, channels)).toEqual(coded.latents);
  const rates = await rateGradient(engine, { extent, ...coded }, 60);
  expect(rates.latents.some((rate) => rate !== 0)).toBe(true);
  expect(ofPiece(found.rates.latents)).toEqual(rates.latents);
  // The chunk has the third of three hyper latents.
  const first = 2 * model.hyperChannels;
  expect(found.rates.hyper.subarray(first)).toEqual(rates.hyper);
  expect(found.hyper.subarray(first)).toEqual(coded.rate.hyper);
  expect(found.hyperLatents.subarray(first)).toEqual(coded.rate.hyperLatents);
});

it('codes given hyper latents with the rated chunks', async () => {
  const { engine } = watched();
  const hyper = Int16Array.from({ length: 3 * model.hyperChannels }, () => 6000 * (random() - 0.5));
  const found = await codeWindow(engine, { rect, channels, data }, rated, hyper, 8, 60);
  expect(found.hyper).toEqual(hyper);
  const analysis = cut(data, rect, piece, channels);
  const coded = await engine.encodeChunk(analysis, extent, 60, hyper.subarray(2 * model.hyperChannels));
  expect(cut(found.latents.data, rect, piece, channels)).toEqual(coded.latents);
});

it('rates no other chunks, and hands the signal on', async () => {
  const { engine } = watched();
  const { signal } = new AbortController();
  let backwards = 0;
  const encodeChunk: Engine['encodeChunk'] = (...call) => {
    expect(call.at(-1)).toBe(signal);
    return engine.encodeChunk(...call);
  };
  const backpropagate: Engine['backpropagate'] = (...call) => {
    expect(call.at(-1)).toBe(signal);
    backwards++;
    return engine.backpropagate(...call);
  };
  const first = { ...rated, width: 8 };
  const watching = { ...engine, encodeChunk, backpropagate };
  await codeWindow(watching, { rect, channels, data }, first, undefined, 8, 60, signal);
  // Four steps of the prior and hyper synthesis, of one chunk.
  expect(backwards).toBe(5);
});
