import { expect, it } from 'vitest';
import { RequestError } from '../src/errors.ts';
import { bytesOfBuffer, expectEngine, expectListener, givenOptions } from '../src/given.ts';

it('copies options, so that what is changed in them later does not count', () => {
  const options = { quality: 30 };
  const given = givenOptions(options);
  options.quality = 90;
  expect(given.quality).toBe(30);
});

it('takes null for no signal, as fetch does', () => {
  const signal = null as unknown as AbortSignal;
  expect(givenOptions({ signal }).signal).toBeUndefined();
  const { signal: real } = new AbortController();
  expect(givenOptions({ signal: real }).signal).toBe(real);
});

it.each([
  [null, 'options: expected an object but received null'],
  ['fast', 'options: expected an object but received "fast"'],
  [{ signal: 'x' }, 'signal: expected an AbortSignal but received "x"'],
  [{ signal: new AbortController() }, 'signal: expected an AbortSignal but received AbortController'],
])('refuses %o as options', (options, message) => {
  expect(() => givenOptions(options as object)).toThrow(new RequestError(message));
});

it('says what it was given instead of an engine or a listener', () => {
  for (const [engine, called] of [
    ['wasm', '"wasm"'],
    [Object.create(null), 'object'],
    [5n, '5n'],
  ] as const)
    expect(() => expectEngine(engine as never)).toThrow(
      new RequestError(`engine: expected an engine of openEngine() but received ${called}`),
    );
  expectListener(undefined, 'onProgress');
  expect(() => expectListener({}, 'onProgress')).toThrow(
    new RequestError('onProgress: expected a function but received Object'),
  );
});

it('refuses bytes that another thread has been given', () => {
  const buffer = new ArrayBuffer(4);
  expect(bytesOfBuffer(buffer)).toHaveLength(4);
  structuredClone(buffer, { transfer: [buffer] });
  expect(() => bytesOfBuffer(buffer)).toThrow(RequestError);
});
