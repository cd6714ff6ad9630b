import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** The arrows of src/ARCHITECTURE.md: what each stage may import besides itself. Files directly in src are named by their stem. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  version: [],
  hexadecimal: [],
  'file-url': ['errors'],
  'color-space': ['errors'],
  parallel: [],
  'on-abort': [],
  'start-worker': [],
  image: ['errors', 'color-space', 'file-url', 'on-abort', 'parallel', 'start-worker'],
  metrics: ['errors', 'image'],
  network: ['errors', 'hexadecimal', 'engine/engine', 'parallel'],
  model: ['errors', 'network', 'reader'],
  'engine/engine': ['network'],
  quantize: ['network', 'entropy'],
  container: ['errors', 'color-space', 'hexadecimal'],
  head: ['errors', 'network', 'engine/engine'],
  entropy: ['errors', 'network', 'quantize', 'engine/engine'],
  reader: ['errors', 'container', 'file-url', 'on-abort', 'parallel'],
  analysis: ['errors', 'image', 'metrics', 'network', 'engine/engine', 'parallel'],
  features: ['errors', 'container', 'reader', 'network', 'engine/engine', 'on-abort', 'parallel'],
  pixels: ['errors', 'image', 'head', 'features', 'engine/engine', 'parallel'],
  train: ['errors', 'network', 'image', 'metrics', 'engine', 'engine/engine', 'encode', 'decode'],
  engine: [
    'errors',
    'version',
    'engine/engine',
    'network',
    'entropy',
    'quantize',
    'head',
    'image',
    'parallel',
    'on-abort',
    'start-worker',
  ],
};
/** Wires the stages together; may import any of them, and nobody below imports these. */
const TOP = ['encode', 'decode', 'index', 'browser', 'node', 'cli', 'server', 'bench'];

const root = fileURLToPath(new URL('../src', import.meta.url));

function stageOf(file: string): string {
  const path = relative(root, file).replaceAll(sep, '/').replace(/\.ts$/, '');
  if (path === 'engine/engine') return path;
  return path.split('/')[0]!;
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes(`${sep}kernels${sep}`));
}

it('follows the arrows of the architecture page', () => {
  const wrong: string[] = [];
  for (const file of sources(root)) {
    const from = stageOf(file);
    for (const match of readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
      const to = stageOf(resolve(dirname(file), match[1]!));
      if (from === to || TOP.includes(from)) continue;
      if (!ARROWS[from]?.includes(to)) wrong.push(`${relative(root, file)} imports ${to}`);
    }
  }
  expect(wrong).toEqual([]);
});

it('keeps the way up free of the encoder', () => {
  const seen = new Set<string>();
  const visit = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const match of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export) (?!type).*?from\s*'(\.[^']+)'/gms,
    ))
      visit(resolve(dirname(file), match[1]!));
  };
  visit(join(root, 'decode.ts'));
  expect([...seen].map(stageOf)).not.toContain('analysis');
  expect([...seen].map((file) => relative(root, file))).not.toContain('encode.ts');
});
