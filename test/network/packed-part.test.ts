import { expect, it } from 'vitest';
import { decoderHashOf, decoderPartOf, loadDecoderModel } from '../../src/network/decoder-model.ts';
import { parseModel } from '../../src/network/load.ts';
import { packDecoderPart, unpackDecoderPart } from '../../src/network/packed-part.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

const file = tinyModelBytes({ seed: 5 });
const unpack = (bytes: Uint8Array) =>
  unpackDecoderPart(new Blob([bytes as Uint8Array<ArrayBuffer>]).stream());

it('comes out as what decoding needs of the model, by its hash', async () => {
  const packed = await packDecoderPart(file);
  const part = await unpack(packed);
  expect(packed.length).toBeLessThan(part.length);
  expect(Buffer.from(part).equals(await decoderPartOf(file))).toBe(true);
  const decoderHash = await decoderHashOf(file);
  const cache = { get: async () => part, put: async () => {} };
  const unread = () => Promise.reject(new Error('was read'));
  expect((await loadDecoderModel(unread, { decoderHash, cache })).hash).toBe(parseModel(file).hash);
});

it('is refused where it is cut, or another file', async () => {
  const packed = await packDecoderPart(file);
  await expect(unpack(packed.subarray(0, packed.length - 20))).rejects.toThrow();
  await expect(unpack(new TextEncoder().encode('<!doctype html>'))).rejects.toThrow();
  await expect(packDecoderPart(packed)).rejects.toMatchObject({ _tag: 'FormatError' });
});
