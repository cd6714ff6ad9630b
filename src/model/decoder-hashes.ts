/**
 * Decoder hashes (network/decoder-model.ts) of the released models, by the hash that files name. Browsers
 * fetch weights from wherever a page puts them; what they get has to be this.
 */
export const DECODER_HASHES: ReadonlyMap<string, string> = new Map([
  // liif-1
  [
    '634498ef45b8c9b9d8cf38cec8694a146c59e4de809d3d2354d15ab1691a6b1d',
    '7b105ca4d2f40d980c6460575850a0e780d79db4ef636df30da3e96a18389a00',
  ],
]);

/** Of the model that comes with the package. */
export const RELEASED_DECODER_HASH = [...DECODER_HASHES.values()].at(-1)!;
