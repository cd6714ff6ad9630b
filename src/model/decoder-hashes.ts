/**
 * Decoder hashes (network/decoder-model.ts) of the released models, by the hash that files name. Browsers fetch weights from wherever a page puts them;
 * what they get has to be this.
 */
export const DECODER_HASHES: Readonly<Record<string, string>> = {
  // liif-1
  '5eaafd8f7794622ce64d903351d4893e8bcc09fa78dff50c78f168242f61d657':
    'b82c9774fc7c29d5c551c070002d34586f21d496bd52c51b68d49ed00b070c1d',
};
