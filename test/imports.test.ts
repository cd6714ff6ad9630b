import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/**
 * The arrows of src/ARCHITECTURE.md: what each stage imports besides itself. Files directly in src are named
 * by their stem. `cli`, the one stage without a row, may import all others, and nobody imports it.
 */
const ARROWS: Arrows = {
  errors: [],
  version: [],
  hexadecimal: [],
  'join-bytes': [],
  given: ['errors'],
  'file-url': ['errors', 'given'],
  'color-space': ['errors'],
  parallel: [],
  'on-abort': [],
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
  analysis: ['container', 'image', 'metrics', 'network', 'engine/engine', 'parallel'],
  features: ['errors', 'container', 'reader', 'network', 'engine/engine', 'parallel', 'on-abort'],
  pixels: ['image', 'network', 'head', 'features', 'engine/engine', 'parallel'],
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
    'version',
    'hexadecimal',
    'parallel',
    'image',
    'analysis',
    'network',
    'container',
    'engine/engine',
    'encode-options',
    'encode-to-target',
    'given',
  ],
  'encode-to-target': [
    'errors',
    'image',
    'analysis',
    'metrics',
    'container',
    'engine/engine',
    'decode',
    'encode',
    'encode-options',
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
    'on-abort',
  ],
  server: [
    'errors',
    'version',
    'color-space',
    'parallel',
    'on-abort',
    'start-worker',
    'make-directory',
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

/**
 * The arrows between the folders of the viewer, and to the codec, as viewer/README.md has them. Files
 * directly in viewer may import all.
 */
const VIEWER_ARROWS: Arrows = {
  tiles: [],
  layer: ['tiles'],
  elements: ['src'],
  picture: ['tiles', 'layer', 'src'],
  decoder: ['tiles', 'picture', 'src'],
  map: ['tiles', 'layer', 'elements', 'picture', 'decoder'],
  pages: ['elements', 'picture', 'decoder', 'map', 'src'],
  build: [],
};

/**
 * The arrows between the folders of the server, as its README has them. Files directly in src/server may
 * import all, and be imported by all.
 */
const SERVER_ARROWS: Arrows = {
  connections: [],
  health: ['connections'],
  stores: [],
  engines: [],
  pictures: ['engines'],
  protocols: [],
  render: ['pictures', 'protocols', 'stores'],
  http: ['engines', 'pictures', 'protocols', 'render'],
};

const root = fileURLToPath(new URL('../src', import.meta.url));
const viewer = fileURLToPath(new URL('../viewer', import.meta.url));
const server = join(root, 'server');

function stageOf(file: string): string {
  const path = relative(root, file).replaceAll(sep, '/').replace(/\.ts$/, '');
  if (path === 'engine/engine') return path;
  return path.split('/')[0]!;
}

/** In which folder of the viewer or the server a file is; for others `src`, for files directly in it ''. */
function folderIn(parent: string) {
  return (file: string) => {
    const path = relative(parent, file).replaceAll(sep, '/');
    if (path.startsWith('../')) return 'src';
    return path.includes('/') ? path.split('/')[0]! : '';
  };
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes(`${sep}kernels${sep}`));
}

/** Every import that crosses from one part to another. `partOf` tells in which part a file is. */
function crossings(folder: string, partOf: (file: string) => string) {
  return sources(folder).flatMap((file) => {
    const from = partOf(file);
    return [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)]
      .map((match) => ({ file, from, to: partOf(resolve(dirname(file), match[1]!)) }))
      .filter(({ to }) => to !== from);
  });
}

type Arrows = Readonly<Record<string, readonly string[]>>;
type Crossings = ReturnType<typeof crossings>;

/** Imports that no arrow allows. The part `free` may import all others. */
function wrongImports(folder: string, arrows: Arrows, all: Crossings, free: string): string[] {
  return all
    .filter(({ from, to }) => from !== free && !arrows[from]?.includes(to))
    .map(({ file, to }) => `${relative(folder, file)} imports ${to}`);
}

function unusedArrows(arrows: Arrows, all: Crossings): string[] {
  const used = new Set(all.map(({ from, to }) => `${from} -> ${to}`));
  const allowed = Object.entries(arrows).flatMap(([from, to]) => to.map((each) => `${from} -> ${each}`));
  return allowed.filter((arrow) => !used.has(arrow));
}

it('follows the arrows of the architecture page', () => {
  expect(wrongImports(root, ARROWS, crossings(root, stageOf), 'cli')).toEqual([]);
});

it('allows no arrow that nobody uses', () => {
  expect(unusedArrows(ARROWS, crossings(root, stageOf))).toEqual([]);
});

it("follows the arrows of the viewer's page, of which none is unused", () => {
  const all = crossings(viewer, folderIn(viewer));
  expect(wrongImports(viewer, VIEWER_ARROWS, all, '')).toEqual([]);
  expect(unusedArrows(VIEWER_ARROWS, all)).toEqual([]);
});

it("follows the arrows of the server's page, of which none is unused", () => {
  const all = crossings(server, folderIn(server)).filter(({ to }) => to !== '' && to !== 'src');
  expect(wrongImports(server, SERVER_ARROWS, all, '')).toEqual([]);
  expect(unusedArrows(SERVER_ARROWS, all)).toEqual([]);
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
