/**
 * Decoder hashes (network/decoder-model.ts) of the released models, by the hash that files name. Browsers fetch weights from wherever a page puts them;
 * what they get has to be this.
 */
export const DECODER_HASHES: Readonly<Record<string, string>> = {
  // liif-1
  '9dc9110acc787793d3fee3e5fb76ee81e8d35c606645cf75db949eff51aa4ad4':
    '65418e0b26de8bee8a5e6f0effdd41d354d7fd0f5334779797e5702ea078ad29',
};
