import { describe, expect, it } from 'vitest';
import { runLayers } from '../../src/engine/reference/layers.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import { backNetwork, type ChunkNetwork } from '../../src/network/back-network.ts';
import { checkConv } from '../../src/network/bounds.ts';
import { loadModel } from '../../src/network/load.ts';
import { extentAfter, whole } from '../../src/network/window.ts';
import { randomSource, tinyModelBytes } from '../fixtures/tiny-model.ts';

const NETWORKS: readonly ChunkNetwork[] = ['hyperSynthesis', 0, 1, 2, 3];
const QUALITY = 60;
const EXTENT = { height: 4, width: 8 };

it.each(NETWORKS)('the derivative by what %s reads is that of differences', async (network) => {
  const model = await releasedModel();
  const { layers, input, outputs, limit, unit } = backNetwork(model, network);
  const random = randomSource(7);
  const channels = input.limits.length;
  const made = whole(extentAfter(layers, EXTENT));
  const read = Int16Array.from({ length: 32 * channels }, () => 1500 * (random() + random() - 1));
  const derivatives = Int16Array.from(
    { length: made.height * made.width * outputs },
    () => (limit / 8) * (random() - 0.5),
  );
  const engine = openReferenceEngine(model);
  const found = await engine.backpropagate(network, read, EXTENT, derivatives, QUALITY);

  /** What the derivatives are those of. */
  const value = (data: Int16Array) => {
    const rect = whole(EXTENT);
    const patch = { rect, channels, data };
    if (typeof network !== 'number') {
      const output = runLayers(layers, patch, EXTENT, made, QUALITY).data;
      return output.reduce((sum, one, i) => sum + one * derivatives[i]!, 0);
    }
    const { trunk, mean, deviation } = model.prior[network]!;
    const trunkOutput = runLayers(trunk, patch, EXTENT, rect, QUALITY);
    let sum = 0;
    for (const [which, conv] of [mean, deviation].entries()) {
      const output = runLayers([conv], trunkOutput, EXTENT, rect, QUALITY).data;
      for (const [i, one] of output.entries()) {
        const site = Math.floor(i / conv.outputs);
        const at = (2 * site + which) * conv.outputs + (i % conv.outputs);
        sum += one * 2 ** conv.shift * derivatives[at]!;
      }
    }
    return sum;
  };
  const size = Math.sqrt(found.reduce((sum, one) => sum + one * one, 0) / found.length);
  for (const part of [1, 2]) {
    const direction = Int16Array.from(found, (one, i) => (i % part ? 0 : Math.round((3 * one) / size)));
    const moved = (sign: number) => read.map((one, i) => one + sign * direction[i]!);
    const difference = (value(moved(1)) - value(moved(-1))) / 2;
    const expected = found.reduce((sum, one, i) => sum + one * unit * direction[i]!, 0);
    expect(Math.abs(difference / expected - 1), `every ${part}. input`).toBeLessThan(0.07);
  }
});

describe('a network that runs backwards', () => {
  it.each([
    ['the released model', releasedModel],
    ['a random model', () => loadModel(tinyModelBytes({ seed: 7, latentChannels: 64 }))],
  ])('of %s cannot leave int32', async (_, load) => {
    const model = await load();
    for (const network of NETWORKS) {
      let { limit } = backNetwork(model, network);
      let convs = 0;
      for (const layer of backNetwork(model, network).stages.flat()) {
        if (layer.op !== 'conv') continue;
        expect(checkConv(layer, new Array<number>(layer.inputs).fill(limit))).toBeUndefined();
        limit = layer.limit;
        convs++;
      }
      expect(convs).toBe(3);
    }
  });

  it('reads no derivatives that could leave int32', async () => {
    const model = await releasedModel();
    const { limit } = backNetwork(model, 0);
    expect(limit).toBeLessThan(32767);
    const engine = openReferenceEngine(model);
    const run = (largest: number) =>
      engine.backpropagate(
        0,
        new Int16Array(model.priorChannels),
        { height: 1, width: 1 },
        new Int16Array(2 * model.latentChannels).fill(largest, 5, 6),
        QUALITY,
      );
    await run(-limit);
    await expect(run(limit + 1)).rejects.toThrow(`at most ${limit} but received ${limit + 1}`);
  });

  it('is refused where it has residuals', async () => {
    const model = await loadModel(tinyModelBytes({ seed: 8, residualPrior: true }));
    expect(() => backNetwork(model, 2)).toThrow(
      /cannot be optimized for this model: its prior has residuals/,
    );
    const hyperSynthesis = model.synthesis.filter(({ op }) => op === 'residual');
    expect(() => backNetwork({ ...model, hyperSynthesis }, 'hyperSynthesis')).toThrow(
      /its hyper synthesis has residuals/,
    );
  });
});
