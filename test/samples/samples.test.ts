import { readdir, readFile } from 'node:fs/promises';
import { parse } from 'node:path';
import { expect, it } from 'vitest';
import { encode, open } from '../../src/node.ts';

const originals = new URL('../../samples/originals/', import.meta.url);
const encoded = new URL('../../samples/encoded/', import.meta.url);
const names = (await readdir(originals)).sort();

it('has one file for each original, and a line about it with its licence', async () => {
  expect((await readdir(encoded)).sort()).toEqual(names.map((name) => `${parse(name).name}.liif`));
  const about = await readFile(new URL('../../samples/README.md', import.meta.url), 'utf8');
  for (const name of names)
    expect(about).toMatch(new RegExp(`^\\| \`${name.replace('.', '\\.')}\` .*(MIT|CC BY|CC0)`, 'm'));
});

// `npm run samples` writes them anew.
it.each(names)('%s is encoded to what the encoder makes today', async (name) => {
  const file = new URL(`${parse(name).name}.liif`, encoded);
  expect(Buffer.from(await encode(new URL(name, originals))).equals(await readFile(file))).toBe(true);
  const image = await open(file);
  expect([image.width, image.height]).toEqual([512, 512]);
  await image.close();
});
