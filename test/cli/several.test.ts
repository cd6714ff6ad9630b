import { afterEach, expect, it, vi } from 'vitest';
import { exitCodeOf } from '../../src/cli/exit-codes.ts';
import { Interruption } from '../../src/cli/interruption.ts';
import { forEachInput, naming, ReportedFailure } from '../../src/cli/several.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { FormatError, SourceError } from '../../src/errors.ts';

const stop = vi.hoisted(() => ({ controller: new AbortController() }));
vi.mock('../../src/cli/interruption.ts', async (original) => ({
  ...(await original<typeof import('../../src/cli/interruption.ts')>()),
  interruption: () => stop.controller.signal,
}));
afterEach(() => {
  stop.controller = new AbortController();
});

/** Works on inputs of which some fail. What was begun, what was reported, and what it ends with. */
async function work(inputs: readonly string[], failures: Readonly<Record<string, unknown>>) {
  const begun: string[] = [];
  const told: string[] = [];
  const terminal = { error: ({ message }: Error) => void told.push(message) } as Terminal;
  const ended = await forEachInput(inputs, terminal, async (input) => {
    begun.push(input);
    if (input in failures) throw failures[input];
  }).catch((reason: unknown) => reason);
  return { begun, told, ended };
}

it('of several inputs each is tried, each failure told with its name, and the first decides the code', async () => {
  const inputs = ['1.liif', '2.liif', '3.liif', '4.liif'];
  const failures = { '2.liif': new SourceError('gone'), '3.liif': new FormatError('chunk', 7, 'damaged') };
  const { begun, told, ended } = await work(inputs, failures);
  expect(begun).toEqual(inputs);
  expect(told).toEqual(['2.liif: gone', '3.liif: chunk at byte 7: damaged']);
  expect(ended).toBeInstanceOf(ReportedFailure);
  expect(exitCodeOf(ended)).toBe(3);
  expect(await work(['1.liif'], {})).toEqual({ begun: ['1.liif'], told: [], ended: undefined });
});

it('the failure of an only input is left to the caller', async () => {
  const { told, ended } = await work(['-'], { '-': new SourceError('ended') });
  expect(told).toEqual([]);
  expect(ended).toMatchObject({ message: 'standard input: ended' });
});

it('an interruption ends the work, also between inputs, and is not told of as a failure', async () => {
  const interrupted = new Interruption('SIGINT');
  expect(exitCodeOf(interrupted)).toBe(130);
  const failing = {
    get b() {
      stop.controller.abort(interrupted);
      return new SourceError('gave up');
    },
  };
  expect(await work(['a', 'b', 'c'], failing)).toEqual({ begun: ['a', 'b'], told: [], ended: interrupted });
  expect(await work(['a', 'b'], {})).toEqual({ begun: [], told: [], ended: interrupted });
});

it('a message gets the name of its input, though it has the letters of it', async () => {
  const failure = new SourceError('The chunk is damaged');
  await expect(naming('c', () => Promise.reject(failure))).rejects.toThrow('c: The chunk is damaged');
});

it('a message that has the name does not get it twice', async () => {
  const failure = new SourceError('a.liif: no such file');
  await expect(naming('a.liif', () => Promise.reject(failure))).rejects.toBe(failure);
  await expect(naming('b.liif', () => Promise.reject(failure))).rejects.toThrow(
    'b.liif: a.liif: no such file',
  );
});
