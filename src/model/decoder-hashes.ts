/**
 * Decoder hashes (network/decoder-model.ts) of the released models, by the hash that files name. Browsers fetch weights from wherever a page puts them;
 * what they get has to be this.
 */
export const DECODER_HASHES: Readonly<Record<string, string>> = {
  // liif-1
  f3ab007d705e13cafbc2c50c1aa138e230ad00362b6e43f68aefd311b173698f:
    '0847238195f0c7eab1868aaa9a9bbf98c65b14bb5758e3717e60bd681f49f210',
};
