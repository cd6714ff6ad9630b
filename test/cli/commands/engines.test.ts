import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { root } from '../../built.ts';
import { finished, liifArguments, runProcess } from '../run-liif.ts';
import { expectFailure } from '../workbench.ts';

/** Measured sooner than the released weights, with the plain engine too. */
const SMALL = 'format-spec/vectors/models/small.safetensors';
let cache: string;
let previous: string | undefined;
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'liif-engines-'));
  previous = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = cache;
});
afterAll(async () => {
  if (previous === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = previous;
  await rm(cache, { recursive: true, force: true });
});

it('lists every engine, whether it runs and how fast, and marks the one that auto takes', {
  timeout: 180_000,
}, async () => {
  const { code, stdout, stderr } = await runProcess(['engines', '--json', '--model', SMALL]);
  expect([code, stderr]).toEqual([0, '']);
  const found = stdout
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const names = found.map(({ engine }) => engine);
  expect(names).toEqual(expect.arrayContaining(['tensorflow', 'reference']));
  for (const one of found) {
    if (!one.available) expect(one.problem).toMatch(/./);
    else if (one.speed) expect(one.speed.megapixels).toBeGreaterThan(0);
    else expect(one.problem).toMatch(/slower than|failed/);
  }
  const chosen = found.filter((one) => one.chosen);
  expect(chosen).toHaveLength(1);
  expect(chosen[0]).toMatchObject({ exact: true, available: true });
});

it('benchmarks one engine', { timeout: 180_000 }, async () => {
  const args = ['bench', '--engine', 'reference', '--model', SMALL, '--seconds', '0.01', '--json'];
  const { code, stdout, stderr } = await runProcess(args);
  expect([code, stderr]).toEqual([0, '']);
  const { machine, engines } = JSON.parse(stdout.toString());
  expect(machine).toMatchObject({ node: process.versions.node, cards: expect.any(Array) });
  expect(engines).toHaveLength(1);
  expect(engines[0]).toMatchObject({
    engine: 'reference',
    plain: { gigaMacs: expect.any(Number), copyGigabytes: expect.any(Number) },
    features: { megapixels: expect.any(Number), gigaMacs: expect.any(Number), share: expect.any(Number) },
  });
});

it.each([
  [['bench', '--engine', 'steam'], /Allowed choices are webgpu, tensorflow, wasm, reference/],
  [['bench', '--seconds', '0'], /greater than 0/],
  [['decode', 'x.liif', '-o', 'x.png', '--engine', 'gpu'], /Allowed choices are auto, webgpu, tensorflow/],
])('answers wrong usage with code 2: %j', (args, line) => expectFailure(args, 2, line));

it.each([
  ['Yarn', (name: string) => `liif tried to access ${name}, but it isn't declared in its dependencies.`],
  ['Deno', (name: string) => `Could not find package '${name}' from referrer 'file:///a.js'.`],
])(
  'says what to install where TensorFlow.js is missing by the words of %s, and no more',
  async (_, words) => {
    const hooks = `export async function resolve(name, context, next) {
    if (name.startsWith('@tensorflow/')) throw new Error(${JSON.stringify(words('NAME'))}.replace('NAME', name));
    return next(name, context);
  }`;
    const register = `import { register } from 'node:module'; register(${JSON.stringify(moduleUrl(hooks))});`;
    const [program, ...args] = liifArguments(['decode', 'samples/encoded/heart.liif', '-o', '-']);
    const child = spawn(
      process.execPath,
      ['--import', moduleUrl(register), program!, ...args, '--engine', 'tensorflow'],
      { cwd: root },
    );
    const { code, stderr } = await finished(child);
    expect(code).toBe(7);
    expect(stderr).toMatch(/No TensorFlow\.js backend works here: npm install @tensorflow\/tfjs-node-gpu/);
  },
);

function moduleUrl(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`;
}
