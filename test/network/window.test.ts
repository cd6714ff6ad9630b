import { expect, it } from 'vitest';
import type { Extent, Patch, Rect } from '../../src/engine/engine.ts';
import { crop, runLayers } from '../../src/engine/reference/layers.ts';
import { loadModel } from '../../src/network/load.ts';
import type { Layer } from '../../src/network/model.ts';
import {
  analysisWindow,
  inputRect,
  latentWindow,
  layerExtents,
  layerWindows,
  whole,
} from '../../src/network/window.ts';
import { randomSource, tinyModelBytes } from '../fixtures/tiny-model.ts';

const model = await loadModel(tinyModelBytes());
const random = randomSource(11);
const below = (n: number) => Math.floor(random() * n);

function randomRect({ height, width }: Extent): Rect {
  const top = below(height);
  const left = below(width);
  return { top, left, height: 1 + below(height - top), width: 1 + below(width - left) };
}

/** All of a random tensor. */
function randomPatch(extent: Extent, channels: number): Patch {
  const data = Int16Array.from(
    { length: extent.height * extent.width * channels },
    () => below(20001) - 10000,
  );
  return { rect: whole(extent), channels, data };
}

const lists: [name: string, layers: readonly Layer[], channels: number, input: Extent][] = [
  ['analysis', model.analysis, 3, { height: 80, width: 112 }],
  ['synthesis', model.synthesis, model.latentChannels, { height: 9, width: 12 }],
  ['hyperAnalysis', model.hyperAnalysis, model.latentChannels, { height: 20, width: 28 }],
  ['hyperSynthesis', model.hyperSynthesis, model.hyperChannels, { height: 5, width: 9 }],
  [
    'a prior trunk',
    model.prior[1]!.trunk,
    model.priorChannels + model.latentChannels,
    { height: 13, width: 10 },
  ],
];

it.each(lists)('windows of %s have the bytes of the whole', (_name, layers, channels, extent) => {
  const input = randomPatch(extent, channels);
  const outputExtent = layerExtents(layers, extent).at(-1)!;
  const all = runLayers(layers, input, extent, whole(outputExtent), 37);
  for (let i = 0; i < 12; i++) {
    const rect = randomRect(outputExtent);
    const window = crop(input, inputRect(layers, rect, extent));
    const part = runLayers(layers, window, extent, rect, 37);
    expect(part, JSON.stringify(rect)).toEqual(crop(all, rect));
  }
});

it('asks for nothing beyond the picture and for all of it at once', () => {
  const level = { height: 4, width: 5 };
  const windows = layerWindows(model.synthesis, { top: 0, left: 0, height: 64, width: 80 }, level);
  expect(windows[0]).toEqual(whole(level));
  for (const [i, extent] of layerExtents(model.synthesis, level).entries()) {
    expect(windows[i]).toEqual(whole(extent));
  }
});

it('asks for a halo that shrinks layer by layer', () => {
  const windows = layerWindows(
    model.synthesis,
    { top: 160, left: 320, height: 1, width: 1 },
    { height: 100, width: 100 },
  );
  // conv 3x3 at full size, a residual (2) at 1/4 and at 1/8, and one at 1/16
  expect(windows.at(-2)).toEqual({ top: 159, left: 319, height: 3, width: 3 });
  expect(windows[0]).toEqual(
    latentWindow(model, { top: 160, left: 320, height: 1, width: 1 }, { height: 100, width: 100 }),
  );
  expect(windows[0]).toEqual({ top: 6, left: 16, height: 8, width: 8 });
});

it('counts pixels of the padded picture', () => {
  const picture = { height: 17, width: 30 };
  expect(analysisWindow(model, { top: 1, left: 1, height: 1, width: 1 }, picture)).toMatchObject({
    top: 0,
    height: 32,
    left: 0,
    width: 32,
  });
});
