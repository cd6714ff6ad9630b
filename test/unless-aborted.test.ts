import { expect, it } from 'vitest';
import { unlessAborted } from '../src/unless-aborted.ts';

const never = new Promise<never>(() => {});

it('gives what the promise gives', async () => {
  const { signal } = new AbortController();
  expect(await unlessAborted(signal, Promise.resolve(1))).toBe(1);
  expect(await unlessAborted(undefined, Promise.resolve(2))).toBe(2);
  await expect(unlessAborted(signal, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
});

it("rejects with the signal's reason, if that was aborted before or comes first", async () => {
  const controller = new AbortController();
  const waiting = unlessAborted(controller.signal, never);
  const reason = new Error('enough');
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(unlessAborted(controller.signal, Promise.resolve(1))).rejects.toBe(reason);
  await expect(unlessAborted(controller.signal, Promise.reject(new Error('broken')))).rejects.toBe(reason);
});
