import { getEventListeners } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { onAbort, unlessAborted } from '../src/on-abort.ts';
import { root } from './built.ts';
import { collectGarbage } from './fixtures/collect-garbage.ts';

it('calls every callback once, and none that has been taken back', () => {
  const controller = new AbortController();
  const calls: number[] = [];
  const same = () => void calls.push(0);
  onAbort(controller.signal, same);
  onAbort(controller.signal, same);
  const forget = [1, 2, 3].map((i) => onAbort(controller.signal, () => void calls.push(i)));
  forget[1]?.();
  forget[1]?.();
  controller.abort();
  controller.abort();
  forget[0]?.();
  expect(calls).toEqual([0, 0, 1, 3]);
});

it('takes back what an earlier callback forgets', () => {
  const controller = new AbortController();
  const calls: string[] = [];
  onAbort(controller.signal, () => forget());
  const forget = onAbort(controller.signal, () => void calls.push('forgotten'));
  controller.abort();
  expect(calls).toEqual([]);
});

it('listens to a signal just as long as somebody waits for it', () => {
  const { signal } = new AbortController();
  const listeners = () => getEventListeners(signal, 'abort').length;
  for (let round = 0; round < 2; round++) {
    const forget = [1, 2].map(() => onAbort(signal, () => {}));
    expect(listeners()).toBe(1);
    forget[0]!();
    forget[0]!();
    expect(listeners()).toBe(1);
    forget[1]!();
    expect(listeners()).toBe(0);
  }
});

it('keeps those who wait anew, whatever others take back again', () => {
  const controller = new AbortController();
  const calls: string[] = [];
  const forget = onAbort(controller.signal, () => calls.push('forgotten'));
  forget();
  onAbort(controller.signal, () => calls.push('anew'));
  forget();
  controller.abort();
  expect(calls).toEqual(['anew']);
});

it('lets go of signals that are made for a call', async () => {
  const shutdown = new AbortController();
  const signals = Array.from({ length: 20 }, () => {
    const signal = AbortSignal.any([shutdown.signal, AbortSignal.timeout(60_000)]);
    onAbort(signal, () => {})();
    return new WeakRef(signal);
  });
  // A reference that was looked at holds until the next turn.
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collectGarbage();
  }
  expect(signals.filter((signal) => signal.deref())).toEqual([]);
});

it('needs no signal', () => {
  onAbort(undefined, () => {
    throw new Error('called');
  })();
});

it('lets hundreds wait for one signal without a warning', async () => {
  const warnings: string[] = [];
  const listen = (warning: Error) => void warnings.push(warning.message);
  process.on('warning', listen);
  const controller = new AbortController();
  for (let i = 0; i < 300; i++) onAbort(controller.signal, () => {});
  await new Promise((resolve) => setTimeout(resolve, 10));
  process.off('warning', listen);
  expect(warnings).toEqual([]);
});

it('is how all of the codec, the server and the viewer wait for a signal', () => {
  const others = ['src', 'viewer'].flatMap((folder) =>
    readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && entry.name !== 'on-abort.ts')
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => /(?<!request)\.addEventListener\(\s*'abort'/.test(readFileSync(path, 'utf8'))),
  );
  expect(others).toEqual([]);
});

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
