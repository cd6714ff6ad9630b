import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isLiifError } from '../../src/errors.ts';
import { type RunState, readRunState, writeRunState } from '../../src/train/run-state.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-state-'));
});
afterAll(() => rm(folder, { recursive: true }));

const state: RunState = {
  base: 'ab',
  settings: { until: { steps: 9 }, qualities: [1, 100] },
  pictures: { named: ['/a.png', '/b.png', '/c.png'], learned: ['/c.png'], held: ['/a.png'] },
  step: 4,
  seconds: 2.5,
  skipped: 1,
  trainer: {
    variables: [Float32Array.of(1, -2.5), Float32Array.of(1e-30)],
    optimizer: {
      meanNorm: 0.125,
      powers: [0.5, 0.75],
      moments: [{ name: 'iter', shape: [], values: Float32Array.of(4) }],
    },
  },
};

it('comes back as it was', async () => {
  const path = join(folder, 'a.state');
  await writeRunState(path, state);
  expect(await readRunState(path)).toEqual(state);
});

it('is undefined where there is none', async () => {
  expect(await readRunState(join(folder, 'none.state'))).toBeUndefined();
});

it.each([
  ['cut off', (bytes: Uint8Array) => bytes.subarray(0, bytes.length / 2)],
  ['of something else', () => new TextEncoder().encode('hello')],
  ['empty', () => new Uint8Array()],
])('that is %s is refused, with what to do', async (_, damage) => {
  const path = join(folder, 'b.state');
  await writeRunState(path, state);
  await writeFile(path, damage(new Uint8Array(await readFile(path))));
  const failure = await readRunState(path).catch((error: unknown) => error);
  expect(isLiifError(failure, 'RequestError') && failure.message).toMatch(/b\.state: .*remove it/);
});
