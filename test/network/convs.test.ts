import { expect, it } from 'vitest';
import { releasedModel } from '../../src/model/released-model.ts';
import { checkConv } from '../../src/network/bounds.ts';
import { convInputLimits, modelConvs } from '../../src/network/convs.ts';
import { parseModel } from '../../src/network/load.ts';
import type { Conv, Model } from '../../src/network/model.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

/** Convolutions anywhere in an object, without knowing its shape. */
function convsWithin(value: unknown): Conv[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  if ((value as { op?: unknown }).op === 'conv') return [value as Conv];
  return Object.values(value).flatMap(convsWithin);
}

it('lists every convolution of a model once, in the order of the flow', async () => {
  const model = await releasedModel();
  const convs = modelConvs<Conv>(model);
  expect(convs).toHaveLength(convsWithin(model).length);
  const { analysis, hyperAnalysis, hyperSynthesis, prior, synthesis } = model;
  const parts = [
    analysis,
    hyperAnalysis,
    hyperSynthesis,
    ...prior.flatMap((step) => [step.trunk, step.mean, step.deviation]),
    synthesis,
  ];
  const expected = parts.flatMap(convsWithin);
  // By identity: a failure would otherwise print millions of weights.
  expect(convs.map((conv) => expected.indexOf(conv))).toEqual(expected.map((_, i) => i));
});

it('lists those of the decoder where the encoder is left out', () => {
  const whole = parseModel(tinyModelBytes());
  const decoder = parseModel(tinyModelBytes(), { decoderOnly: true });
  expect(modelConvs<Conv>(decoder)).toEqual(
    modelConvs<Conv>(whole).slice(convsWithin([whole.analysis, whole.hyperAnalysis]).length),
  );
  expect(convInputLimits(decoder)).toHaveLength(modelConvs<Conv>(decoder).length);
});

it('knows the limit of every channel that a convolution reads', () => {
  const model: Model = parseModel(tinyModelBytes({ latentChannels: 32, priorChannels: 16, blocks: 1 }));
  const convs = modelConvs<Conv>(model);
  const limits = new Map(convInputLimits(model).map((limit, i) => [convs[i]!, limit]));
  const of = (conv: unknown) => limits.get(conv as Conv)!;
  const alike = (channels: number, limit: number) => new Array<number>(channels).fill(limit);
  // The numbers of the fixture: 14000 inside, 18000 for latents, 12000 for hyper latents and the ends of
  // trunks.
  const residual = model.analysis[2] as { first: Conv; second: Conv };
  expect(of(model.analysis[1])).toEqual(alike(48, 8192));
  expect(of(residual.first)).toEqual(alike(16, 14000));
  expect(of(residual.second)).toEqual(alike(8, 14000));
  expect(of(model.hyperAnalysis[0])).toEqual(alike(32, 18000));
  expect(of(model.hyperSynthesis[0])).toEqual(alike(8, 12000));
  expect(of(model.prior[0]!.trunk[0])).toEqual(alike(16, 14000));
  expect(of(model.prior[3]!.trunk[0])).toEqual([...alike(16, 14000), ...alike(32, 18000)]);
  expect(of(model.prior[3]!.mean)).toEqual(alike(16, 12000));
  expect(of(model.prior[3]!.deviation)).toEqual(alike(16, 12000));
  for (const conv of convs) expect(checkConv(conv, of(conv))).toBeUndefined();
});
