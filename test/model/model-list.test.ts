import { expect, it } from 'vitest';
import { listedFileOf, modelListText, readModelList } from '../../src/model/model-list.ts';

const hash = 'ab'.repeat(32);
const listed = { name: 'mine', hash, decoderHash: 'cd'.repeat(32), file: listedFileOf(hash) };

it('reads what it has written, in the order of hashes', () => {
  const other = { ...listed, hash: '0'.repeat(64), file: listedFileOf('0'.repeat(64)) };
  expect(readModelList(JSON.parse(modelListText([listed, other])))).toEqual([other, listed]);
});

it.each([
  undefined,
  null,
  [],
  { version: 2, models: [listed] },
  { version: 1, models: 3 },
  { version: 1, models: [null, 7, 'x'] },
  { version: 1, models: [{ ...listed, hash: 'AB'.repeat(32) }] },
  { version: 1, models: [{ ...listed, decoderHash: 'x' }] },
  { version: 1, models: [{ ...listed, file: 'https://example.org/a.safetensors' }] },
  { version: 1, models: [{ ...listed, file: `../${listed.file}` }] },
])('takes nothing from %j', (value) => {
  expect(readModelList(value)).toEqual([]);
});
