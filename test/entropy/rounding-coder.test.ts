import { expect, it } from 'vitest';
import { codingTables, positionOf } from '../../src/entropy/cdf-table.ts';
import { codeHyper } from '../../src/entropy/chunk.ts';
import { rateSlopes, tableSlopes } from '../../src/entropy/rate-slope.ts';
import { RoundingCoder } from '../../src/entropy/rounding-coder.ts';
import { loadModel } from '../../src/network/load.ts';
import { randomSource, tinyModelBytes } from '../fixtures/tiny-model.ts';

const model = await loadModel(tinyModelBytes());
const quality = 60;

it('hyper latents are the nearest to the output of hyper analysis, row for row', () => {
  const extent = { height: 3, width: 2 };
  const { hyperChannels, hyper } = model;
  const random = randomSource(2);
  const output = Int16Array.from({ length: 6 * hyperChannels }, () => (2 * random() - 1) * 9000);
  const coder = new RoundingCoder(new Int16Array(0), output, output.length, quality, model);
  const z = codeHyper(extent, quality, model, coder);
  let coded = 0;
  for (const [i, value] of z.entries()) {
    const at = (quality - 1) * hyperChannels + (i % hyperChannels);
    if (codingTables(model.tables).base[hyper.table[at]!]! < 0) continue;
    const step = hyper.step[at]! / 2 ** hyper.stepBits;
    expect(Math.abs(value - output[i]!)).toBeLessThanOrEqual(step / 2 + 0.5);
    const symbol = Math.round((value - hyper.offset[at]! / 2 ** hyper.stepBits) / step);
    const position = positionOf(coder.tables, hyper.table[at]!, symbol);
    expect(coder.hyperSlopes[i]).toBe(rateSlopes(model.tables)[position]);
    coded++;
  }
  expect(coded).toBeGreaterThan(z.length / 2);
  expect(coder.hyperSlopes.some((slope) => slope !== 0)).toBe(true);
});

it('slopes of the rate are those of the symbols that latents are rounded to', () => {
  const { latentChannels: channels, latent, tables } = model;
  const table = tables.rawBits.lastIndexOf(0);
  const step = latent.step[(quality - 1) * channels]! / 2 ** latent.stepBits;
  const slopes = [-2, 0, 3].map((symbol) => {
    const analysis = new Int16Array(channels).fill(1000 + symbol * step);
    const coder = new RoundingCoder(analysis, new Int16Array(0), channels / 4, quality, model);
    const symbols = new Int16Array(channels / 4);
    coder.codeLatents({
      indices: new Uint8Array(channels / 4).fill(table),
      symbols,
      mean: new Int16Array(channels).fill(1000),
      from: Int32Array.of(0),
      channel: Int32Array.of(0),
    });
    expect(symbols[0]).toBe(symbol);
    const position = positionOf(coder.tables, table, symbol);
    expect(coder.slopes[0]).toBe(rateSlopes(tables)[position]);
    expect(coder.tableSlopes[0]).toBe(tableSlopes(tables)[position]);
    return coder.slopes[0]!;
  });
  // More costs more above the mean, and less below it.
  expect(Math.sign(slopes[0]!)).toBe(-1);
  expect(Math.sign(slopes[2]!)).toBe(1);
});
