import { expect, it } from 'vitest';
import { open, openEngine } from '../src/browser.ts';
import { RequestError } from '../src/errors.ts';

it('says what it was given instead of an address, and asks for nothing', async () => {
  for (const [given, called] of [
    [undefined, 'undefined'],
    [new ArrayBuffer(4), 'ArrayBuffer'],
    ['http://', '"http://"'],
  ] as const) {
    const address = given as string;
    await expect(open(address, { engine: async () => Promise.reject() })).rejects.toThrow(
      new RequestError(`file: expected an address or a Blob but received ${called}`),
    );
    await expect(openEngine({ model: address })).rejects.toThrow(
      new RequestError(`model: expected an address but received ${called}`),
    );
  }
});

it('says that the engine is missing', async () => {
  const options = {} as Parameters<typeof open>[1];
  for (const given of [options, undefined as unknown as typeof options])
    await expect(open(new Blob(['a']), given)).rejects.toThrow(
      new RequestError('engine: expected an engine of openEngine() but received undefined'),
    );
  await expect(openEngine(undefined as never)).rejects.toThrow('options: expected an object');
});
