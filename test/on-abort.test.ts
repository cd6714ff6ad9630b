import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { onAbort } from '../src/on-abort.ts';
import { root } from './built.ts';

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
