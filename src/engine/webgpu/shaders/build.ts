import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compact } from './compact.ts';

/** Part of `npm run build:assets`: writes the shaders of the package. */

const from = fileURLToPath(new URL('.', import.meta.url));
const to = fileURLToPath(new URL('../../../../dist/engine/webgpu/shaders', import.meta.url));

await mkdir(to, { recursive: true });
for (const name of await readdir(from))
  if (name.endsWith('.wgsl'))
    await writeFile(join(to, name), compact(await readFile(join(from, name), 'utf8')));
