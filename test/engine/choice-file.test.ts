import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { cacheDirectory, choiceFile } from '../../src/engine/choice-file.ts';
import { parseModel } from '../../src/network/load.ts';
import { VERSION } from '../../src/version.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

const model = parseModel(tinyModelBytes({ seed: 5 }));
const otherModel = parseModel(tinyModelBytes({ seed: 6 }));
let folder: string;
let directory: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-choice-'));
  directory = join(folder, 'cache', 'liif');
  path = join(directory, 'engines.json');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('remembers a choice for each model', async () => {
  const memory = choiceFile(directory)!;
  expect(await memory.recall(model)).toBeUndefined();
  await memory.remember(model, { engine: 'webgpu', device: 'a card' });
  await memory.remember(otherModel, { engine: 'wasm' });
  expect(await choiceFile(directory)!.recall(model)).toEqual({ engine: 'webgpu', device: 'a card' });
  expect(await choiceFile(directory)!.recall(otherModel)).toEqual({ engine: 'wasm' });
  await memory.remember(model, { engine: 'wasm' });
  expect(await memory.recall(model)).toEqual({ engine: 'wasm' });
  expect(await readdir(directory)).toEqual(['engines.json']);
});

it.each(['', 'null', '{"', '[1]', '{"x": 3}', '\0\0', '"wasm"'])(
  'takes a damaged file for an empty one: %j',
  async (text) => {
    const memory = choiceFile(directory)!;
    await memory.remember(model, { engine: 'wasm' });
    await writeFile(path, text);
    expect(await memory.recall(model)).toBeUndefined();
    await memory.remember(model, { engine: 'webgpu' });
    expect(await memory.recall(model)).toEqual({ engine: 'webgpu' });
  },
);

it('ignores an engine that does not exist', async () => {
  const memory = choiceFile(directory)!;
  await memory.remember(model, { engine: 'wasm' });
  await writeFile(path, (await readFile(path, 'utf8')).replace('wasm', 'steam'));
  expect(await memory.recall(model)).toBeUndefined();
});

it.each([{ measured: 'soon' }, { measured: 9999 }, { device: 3 }])(
  'ignores an entry that it has not written: %j',
  async (change) => {
    const memory = choiceFile(directory)!;
    await memory.remember(model, { engine: 'wasm' });
    const [[key, entry]] = Object.entries(JSON.parse(await readFile(path, 'utf8'))) as [[string, object]];
    await writeFile(path, JSON.stringify({ [key]: { ...entry, ...change } }));
    expect(await memory.recall(model)).toBeUndefined();
  },
);

it.each([
  ['is a month old', -31],
  ['a wrong clock has dated a month ahead', 31],
])('forgets what %s', async (_, days) => {
  const memory = choiceFile(directory)!;
  await memory.remember(model, { engine: 'wasm' });
  const entries = JSON.parse(await readFile(path, 'utf8'));
  for (const entry of Object.values(entries) as { measured: string }[])
    entry.measured = new Date(Date.now() + days * 86_400_000).toISOString();
  await writeFile(path, JSON.stringify(entries));
  expect(await memory.recall(model)).toBeUndefined();
});

it('goes on where nothing can be written', async () => {
  await writeFile(join(folder, 'file'), '');
  const memory = choiceFile(join(folder, 'file'))!;
  await memory.remember(model, { engine: 'wasm' });
  expect(await memory.recall(model)).toBeUndefined();
});

it('does not grow without end', async () => {
  const memory = choiceFile(directory)!;
  await memory.remember(model, { engine: 'wasm' });
  const one = { engine: 'wasm', measured: new Date().toISOString() };
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`machine ${i}`, one]));
  await writeFile(path, JSON.stringify(many));
  await memory.remember(model, { engine: 'webgpu' });
  const names = async () => Object.keys(JSON.parse(await readFile(path, 'utf8')));
  expect((await names()).slice(0, -1)).toEqual(Object.keys(many).slice(-31));
  expect(await memory.recall(model)).toEqual({ engine: 'webgpu' });
  // What is measured anew is the latest.
  const [own] = (await names()).slice(-1);
  await memory.remember(otherModel, { engine: 'wasm' });
  await memory.remember(model, { engine: 'wasm' });
  expect((await names()).at(-1)).toBe(own);
});

it('holds for one version, and for the graphics card that is named', async () => {
  const memory = choiceFile(directory)!;
  await memory.remember(model, { engine: 'wasm' });
  expect(await readFile(path, 'utf8')).toContain(`"liif ${VERSION}, Node ${process.versions.node}, `);
  vi.stubEnv('LIIF_GPU', 'another card');
  try {
    expect(await memory.recall(model)).toBeUndefined();
  } finally {
    vi.unstubAllEnvs();
  }
  expect(await memory.recall(model)).toEqual({ engine: 'wasm' });
});

it('lies where the system keeps caches', () => {
  expect(cacheDirectory({ XDG_CACHE_HOME: '/c' })).toBe(join('/c', 'liif'));
  if (process.platform === 'linux') expect(cacheDirectory({})).toMatch(/\/\.cache\/liif$/);
});

it('is left out for a user without a home', () => {
  const homeless = () => {
    throw new Error('uv_os_homedir returned ENOENT');
  };
  expect(cacheDirectory({}, homeless)).toBeUndefined();
  expect(cacheDirectory({}, () => '')).toBeUndefined();
  expect(cacheDirectory({ XDG_CACHE_HOME: 'here' }, homeless)).toBeUndefined();
  if (process.platform === 'linux')
    expect(cacheDirectory({ XDG_CACHE_HOME: 'here' }, () => '/home/a')).toBe('/home/a/.cache/liif');
  expect(cacheDirectory({ XDG_CACHE_HOME: '/c' }, homeless)).toBe(join('/c', 'liif'));
});
