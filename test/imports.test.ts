import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/**
 * The arrows of src/ARCHITECTURE.md: what each stage imports besides itself. Files directly in src are named by their stem.
 * `cli`, the one stage without a row, may import all others, and nobody imports it.
 */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  version: [],
  hexadecimal: [],
  'join-bytes': [],
  given: ['errors'],
  'file-url': ['errors', 'given'],
  'color-space': ['errors'],
  parallel: [],
  'natural-order': [],
  'on-abort': [],
  'unless-aborted': ['on-abort'],
  'start-worker': [],
  'make-directory': [],
  image: ['errors', 'given', 'color-space', 'file-url', 'on-abort', 'start-worker'],
  metrics: ['errors', 'image'],
  network: ['errors', 'hexadecimal', 'join-bytes', 'engine/engine', 'parallel'],
  model: ['errors', 'network', 'reader'],
  'engine/engine': ['network'],
  quantize: [],
  container: ['errors', 'color-space', 'hexadecimal', 'join-bytes'],
  head: ['errors', 'network', 'engine/engine'],
  entropy: ['errors', 'network', 'quantize', 'engine/engine'],
  reader: ['errors', 'given', 'container', 'file-url', 'join-bytes', 'on-abort'],
  analysis: ['image', 'metrics', 'network', 'engine/engine', 'parallel'],
  features: ['errors', 'container', 'reader', 'network', 'engine/engine', 'parallel', 'unless-aborted'],
  pixels: ['image', 'head', 'features', 'engine/engine', 'parallel'],
  engine: [
    'errors',
    'given',
    'version',
    'engine/engine',
    'network',
    'entropy',
    'head',
    'image',
    'on-abort',
    'start-worker',
    'make-directory',
  ],
  encode: [
    'errors',
    'version',
    'hexadecimal',
    'parallel',
    'image',
    'analysis',
    'metrics',
    'network',
    'container',
    'engine/engine',
    'decode',
    'encode-options',
    'given',
  ],
  'encode-options': ['errors', 'given', 'analysis', 'container', 'decode'],
  'render-request': ['errors', 'given', 'container', 'head', 'pixels'],
  decode: [
    'errors',
    'given',
    'image',
    'container',
    'reader',
    'features',
    'head',
    'pixels',
    'engine/engine',
    'render-request',
  ],
  'common-exports': [
    'errors',
    'version',
    'color-space',
    'image',
    'container',
    'head',
    'pixels',
    'engine/engine',
    'decode',
    'render-request',
  ],
  index: ['common-exports', 'container', 'reader', 'network', 'head', 'encode', 'decode', 'render-request'],
  browser: [
    'common-exports',
    'errors',
    'image',
    'reader',
    'network',
    'pixels',
    'model',
    'engine/engine',
    'engine',
    'decode',
    'given',
  ],
  node: [
    'image',
    'metrics',
    'reader',
    'network',
    'model',
    'engine/engine',
    'engine',
    'encode',
    'decode',
    'index',
    'encode-options',
    'file-url',
    'given',
    'render-request',
    'unless-aborted',
  ],
  server: [
    'errors',
    'version',
    'color-space',
    'parallel',
    'on-abort',
    'unless-aborted',
    'start-worker',
    'make-directory',
    'natural-order',
    'image',
    'container',
    'reader',
    'network',
    'features',
    'head',
    'pixels',
    'model',
    'engine/engine',
    'engine',
    'encode',
    'given',
  ],
  bench: [
    'errors',
    'version',
    'on-abort',
    'start-worker',
    'image',
    'analysis',
    'network',
    'engine/engine',
    'engine',
    'encode',
    'decode',
  ],
  train: ['errors', 'image', 'metrics', 'network', 'engine/engine', 'engine', 'encode', 'decode'],
};

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

/** Every import that crosses from one stage to another. */
function crossings() {
  return sources(root).flatMap((file) => {
    const from = stageOf(file);
    return [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)]
      .map((match) => ({ file, from, to: stageOf(resolve(dirname(file), match[1]!)) }))
      .filter(({ to }) => to !== from);
  });
}

it('follows the arrows of the architecture page', () => {
  const wrong = crossings()
    .filter(({ from, to }) => from !== 'cli' && !ARROWS[from]?.includes(to))
    .map(({ file, to }) => `${relative(root, file)} imports ${to}`);
  expect(wrong).toEqual([]);
});

it('allows no arrow that nobody uses', () => {
  const used = new Set(crossings().map(({ from, to }) => `${from} -> ${to}`));
  const allowed = Object.entries(ARROWS).flatMap(([from, all]) => all.map((to) => `${from} -> ${to}`));
  expect(allowed.filter((arrow) => !used.has(arrow))).toEqual([]);
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
