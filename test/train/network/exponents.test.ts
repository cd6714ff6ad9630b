import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { RELEASED_MODEL } from '../../../src/model/released-model.ts';
import { modelConvs } from '../../../src/network/convs.ts';
import { parseModel } from '../../../src/network/load.ts';
import { convExponents } from '../../../src/train/network/exponents.ts';
import { tinyModelBytes } from '../../fixtures/tiny-model.ts';

it('follows exponents through the released model', async () => {
  const file = new Uint8Array(await readFile(RELEASED_MODEL));
  const exponents = convExponents(file);
  expect(exponents).toHaveLength(modelConvs(parseModel(file)).length);
  for (const { input, output } of exponents) {
    expect(Number.isInteger(input)).toBe(true);
    expect(Number.isInteger(output)).toBe(true);
  }
  // One half is 2^13 of spec 3.4, so pictures have 14; the last convolution makes P.
  expect(exponents[0]!.input).toBe(14);
  expect(exponents.at(-1)!.output).toBe(10);
  // Both branches of a residual end where they began.
  expect(exponents[2]!.output).toBe(exponents[1]!.input);
});

it('knows nothing where a file does not say', () => {
  const exponents = convExponents(tinyModelBytes());
  expect(exponents.every(({ output }) => Number.isNaN(output))).toBe(true);
});

it.each(['9', 1e9, {}])('refuses an exponent of %j, before anything is trained', (exponent) => {
  const file = tinyModelBytes({
    change: ({ graph }) => {
      graph.synthesis[1].first.exponent = exponent;
    },
  });
  expect(() => convExponents(file)).toThrow(
    /model at byte 8: expected an exponent of -64 to 64 but received/,
  );
});
