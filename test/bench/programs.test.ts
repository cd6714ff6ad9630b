import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../built.ts';

it('has every script that npm runs, and every file that benchmarks name beside themselves', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const named = Object.values<string>(scripts).flatMap((script) => script.match(/\S+\.(ts|mjs)\b/g) ?? []);
  const folder = join(root, 'test/bench');
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const code = readFileSync(join(folder, name), 'utf8');
    for (const [, path] of code.matchAll(/new URL\(\s*'(\.[^']+\.\w+)'/g))
      named.push(join('test/bench', name, '..', path!));
    for (const [, path] of code.matchAll(/'(test\/[^']+\.ts)'/g)) named.push(path!);
  }
  expect(named.length).toBeGreaterThan(15);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
