import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { placesOf, type SameRun, stateOf } from '../../../src/cli/tune/state.ts';
import { type RunState, writeRunState } from '../../../src/train/run-state.ts';

const pictures = ['a.png', 'b.png', 'c.png'];
const run: SameRun = { base: 'ab', settings: { rate: 1, compare: true }, pictures };
const state: RunState = {
  base: 'ab',
  settings: run.settings,
  pictures: placesOf(pictures, { learned: ['c.png', 'a.png'], held: ['b.png'] }),
  step: 4,
  seconds: 2.5,
  skipped: 0,
  trainer: { variables: [], optimizer: { meanNorm: 0, powers: [1, 1], moments: [] } },
};

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-tune-state-'));
  path = join(folder, 'x.state');
  await writeRunState(path, state);
});
afterAll(() => rm(folder, { recursive: true }));

it('goes on with the pictures of a run as they were chosen, however the same ones are named', async () => {
  const named = ['c.png', resolve('b.png'), './a.png'];
  const found = await stateOf(path, true, { ...run, pictures: named });
  expect(found?.pictures.held).toEqual([resolve('b.png')]);
  expect(found?.pictures.learned).toEqual([resolve('c.png'), resolve('a.png')]);
});

it.each<[string, Partial<SameRun>, RegExp]>([
  ['a picture more', { pictures: [...pictures, 'd.png'] }, /other pictures: \S+d\.png is new$/],
  ['a picture fewer', { pictures: ['a.png', 'c.png'] }, /other pictures: \S+b\.png is missing$/],
  ['other pictures', { pictures: ['d.png'] }, /a\.png is missing, and there are 3 more such changes$/],
  ['all pictures to learn from', { settings: { rate: 1, compare: false } }, /compare was true and is false/],
  ['another rate', { settings: { rate: 2 } }, /rate was 1 and is 2 now/],
  ['other weights', { base: 'cd' }, /other weights \(ab\)/],
])('does not go on with %s', async (_, change, message) => {
  await expect(stateOf(path, true, { ...run, ...change })).rejects.toThrow(message);
});

it('asks whether to go on, and needs something to go on with', async () => {
  await expect(stateOf(path, false, run)).rejects.toThrow(/go on with --resume, or remove it/);
  await expect(stateOf(`${path}2`, true, run)).rejects.toThrow(/no interrupted run/);
  expect(await stateOf(`${path}2`, false, run)).toBeUndefined();
});
