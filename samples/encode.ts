/**
 * Encodes every original at the default quality, and removes encoded files without an original. Part of `npm run samples`.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeFile } from '../src/node.ts';

const originals = fileURLToPath(new URL('./originals', import.meta.url));
const encoded = fileURLToPath(new URL('./encoded', import.meta.url));

await mkdir(encoded, { recursive: true });
const names = (await readdir(originals)).sort();
for (const name of names) {
  const output = join(encoded, `${parse(name).name}.liif`);
  const { bytes, bitsPerPixel } = await encodeFile(join(originals, name), output);
  console.log(`${name}: ${bytes} bytes, ${bitsPerPixel.toFixed(3)} bits per pixel`);
}
const wanted = new Set(names.map((name) => `${parse(name).name}.liif`));
for (const name of await readdir(encoded)) if (!wanted.has(name)) await rm(join(encoded, name));
