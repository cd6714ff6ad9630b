import { readdir, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { compact } from '../../../src/engine/webgpu/shaders/compact.ts';

const SHADERS = new URL('../../../src/engine/webgpu/shaders/', import.meta.url);
/** Of WGSL, the longest first. */
const TOKEN = /\w+(?:\.\w+)?|<<=|>>=|->|&&|\|\||<<|>>|\+\+|--|[-+*/%&|^=!<>]=|\S/g;

const tokens = (wgsl: string) => wgsl.replace(/\/\/.*/g, '').match(TOKEN);

it('ships shaders with the tokens that they are written with, in fewer bytes', async () => {
  const names = (await readdir(SHADERS)).filter((name) => name.endsWith('.wgsl'));
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) {
    const written = await readFile(new URL(name, SHADERS), 'utf8');
    const shipped = compact(written);
    expect(tokens(shipped), name).toEqual(tokens(written));
    expect(shipped.length, name).toBeLessThan(0.9 * written.length);
  }
});

it('keeps spaces that part tokens', () => {
  expect(compact('let a : vec2<u32> = b - -c; // why\nlet d = *e;\n')).toBe(
    'let a:vec2<u32> = b - -c;let d=*e;',
  );
});
