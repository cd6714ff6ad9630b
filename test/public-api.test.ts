import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, expectTypeOf, it } from 'vitest';
import type * as browser from '../src/browser.ts';
import type * as core from '../src/index.ts';

/** What programs may rely on. A new line here is a promise; a missing one breaks somebody. */
const CORE = [
  'DEFAULT_QUALITY',
  'EngineError',
  'FormatError',
  'LiifError',
  'LiifImage',
  'RequestError',
  'SourceError',
  'UnsupportedError',
  'VERSION',
  'decodeImage',
  'encodeImage',
  'encodeImageTo',
  'httpSource',
  'isLiifError',
  'loadModel',
  'memorySource',
  'openImage',
  'resolveRequest',
];
const EXPORTS: Readonly<Record<string, readonly string[]>> = {
  '.': [
    ...CORE,
    'ImageError',
    'OutputError',
    'decode',
    'decodeFile',
    'encode',
    'encodeFile',
    'fileSource',
    'formatImage',
    'msSsim',
    'open',
    'openEngine',
    'psnr',
    'readImage',
    'readModel',
    'writeImage',
  ],
  './core': CORE,
  './browser': [
    'EngineError',
    'FormatError',
    'LiifError',
    'LiifImage',
    'RequestError',
    'SourceError',
    'TILE_SIZE',
    'UnsupportedError',
    'VERSION',
    'isLiifError',
    'nativeZoom',
    'open',
    'openEngine',
    'renderTile',
    'toImageData',
  ],
  './server': ['configSchema', 'createApp', 'readConfig', 'serve'],
  './leaflet': [
    'DEEPEST_ZOOM',
    'DeepView',
    'FloatingOrigin',
    'HttpTileSource',
    'LiifLayer',
    'TILE_SIZE',
    'TileError',
    'formatDecimal',
    'imageCrs',
    'parseDecimal',
    'toFixed',
    'toLatLng',
    'toNumber',
    'toPoint',
  ],
};

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
/** Files that are no code. */
const FILES = ['./package.json', './model'];
const entries = Object.keys(manifest.exports).filter((entry) => !FILES.includes(entry));

it('pins the exports of every entry of the package', () => {
  expect(entries.sort()).toEqual(Object.keys(EXPORTS).sort());
});

/** Of what an entry is built. */
function sourceOf(entry: string): string {
  const built: string = manifest.exports[entry].default;
  return built.replace('./dist/', 'src/').replace(/\.js$/, '.ts');
}

/** Leaflet wants a page around it: this entry is read, not run. */
const READ_ONLY = ['./leaflet'];

it.each(Object.keys(EXPORTS).filter((entry) => !READ_ONLY.includes(entry)))(
  '%s exports what programs rely on, and nothing else',
  async (entry) => {
    const module = await import(join(root, sourceOf(entry)));
    expect(Object.keys(module).sort()).toEqual([...EXPORTS[entry]!].sort());
  },
);

it('./leaflet exports what pages rely on, and nothing else', () => {
  const text = readFileSync(`${root}/viewer/leaflet.ts`, 'utf8');
  const names = [...text.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, list]) =>
    list!.split(',').flatMap((name) => (/^\s*type /.test(name) || !name.trim() ? [] : [name.trim()])),
  );
  expect(names.sort()).toEqual([...EXPORTS['./leaflet']!].sort());
  expect(text).not.toMatch(/^export (?!\{|type)/m);
});

it('says of everything that it exports what it is, which editors show', { timeout: 120_000 }, () => {
  const sources = entries.map((entry) =>
    join(root, entry === './leaflet' ? 'viewer/leaflet.ts' : sourceOf(entry)),
  );
  const program = ts.createProgram(sources, {
    module: ts.ModuleKind.NodeNext,
    noLib: true,
    types: [],
  });
  const checker = program.getTypeChecker();
  const silent = new Set<string>();
  for (const source of sources)
    for (const exported of checker.getExportsOfModule(
      checker.getSymbolAtLocation(program.getSourceFile(source)!)!,
    )) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      if (symbol.getDocumentationComment(checker).length === 0) silent.add(exported.name);
    }
  expect([...silent]).toEqual([]);
});

it('exports the types that signatures name', () => {
  expectTypeOf<core.Header>().toEqualTypeOf<core.LiifImage['header']>();
  expectTypeOf<core.RenderQuery>().toEqualTypeOf<ReturnType<typeof core.resolveRequest>>();
  expectTypeOf<core.Sink>().toEqualTypeOf<Parameters<typeof core.encodeImageTo>[2]>();
  expectTypeOf<browser.Header>().toEqualTypeOf<browser.LiifImage['header']>();
  expectTypeOf<browser.RenderQuery>().toEqualTypeOf<ReturnType<browser.LiifImage['resolve']>>();
});

it('has the version that package.json states', async () => {
  const { VERSION } = await import('../src/version.ts');
  expect(VERSION).toBe(manifest.version);
});

it('has every package that its README tells users to add as an optional peer, without which Yarn lets it import none', () => {
  const readme = readFileSync(`${root}/README.md`, 'utf8');
  const named = [...readme.matchAll(/npm install ([@a-z][a-z/-]+)|`(@tensorflow\/[a-z-]+)`/g)];
  const packages = new Set(named.map(([, installed, other]) => installed ?? other!));
  expect([...packages].sort()).toEqual([
    '@tensorflow/tfjs-node',
    '@tensorflow/tfjs-node-gpu',
    'heic-decode',
    'webgpu',
  ]);
  for (const name of packages) {
    expect(manifest.peerDependencies).toHaveProperty([name]);
    expect(manifest.peerDependenciesMeta[name]).toEqual({ optional: true });
  }
});
