import { createHash } from 'node:crypto';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { SourceError } from '../../../src/errors.ts';
import { readWhole } from '../../../src/server/pictures/whole-file.ts';
import { directoryOf } from '../server-fixture.ts';

const bytes = Uint8Array.from({ length: 2_000_003 }, (_, i) => i % 251);
const directory = await directoryOf({ 'large.png': bytes, 'empty.png': '' });
const hashOf = (data: Uint8Array) => createHash('sha256').update('image\n').update(data).digest('hex');

it('a file is read whole, with the hash of its kind and bytes', async () => {
  const { bytes: read, hash } = await readWhole(join(directory, 'large.png'), 1e7);
  expect(Buffer.compare(read, bytes)).toBe(0);
  expect(hash).toBe(hashOf(bytes));
  expect(await readWhole(join(directory, 'empty.png'), 1e7)).toEqual({
    bytes: new Uint8Array(0),
    hash: hashOf(new Uint8Array(0)),
  });
});

it('the event loop has turns while a file is read and hashed', async () => {
  let turns = 0;
  const count = () => {
    turns++;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);
  await readWhole(join(directory, 'large.png'), 1e7);
  clearImmediate(timer);
  expect(turns).toBeGreaterThanOrEqual(4);
});

it('what is too large or not there is refused', async () => {
  await expect(readWhole(join(directory, 'large.png'), 1e6)).rejects.toMatchObject({ status: 501 });
  await expect(readWhole(join(directory, 'none.png'), 1e6)).rejects.toThrow(SourceError);
});

it('a file that is cut off while it is read is what was left of it', async () => {
  const path = join(await directoryOf({ 'cut.png': bytes }), 'cut.png');
  const reading = readWhole(path, 1e7);
  await truncate(path, 10);
  const { bytes: read, hash } = await reading;
  expect(read.length).toBeLessThanOrEqual(bytes.length);
  expect(hash).toBe(hashOf(read));
});
