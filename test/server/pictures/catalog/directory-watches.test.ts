import { EventEmitter } from 'node:events';
import { type FSWatcher, type WatchListener, watch } from 'node:fs';
import { beforeEach, expect, it, vi } from 'vitest';
import { DirectoryWatches } from '../../../../src/server/pictures/catalog/directory-watches.ts';

vi.mock('node:fs', async (original) => ({
  ...(await original<typeof import('node:fs')>()),
  watch: vi.fn(),
}));

interface Watcher extends EventEmitter {
  readonly path: string;
  readonly close: () => void;
  readonly happens: WatchListener<string>;
}

const watchers: Watcher[] = [];
beforeEach(() => {
  watchers.length = 0;
  vi.mocked(watch).mockImplementation(((path: string, _: object, happens: WatchListener<string>) => {
    const watcher = Object.assign(new EventEmitter(), { path, happens, close: vi.fn() });
    watchers.push(watcher);
    return watcher as unknown as FSWatcher;
  }) as unknown as typeof watch);
});

/** Watches of paths, each of which `look` finds changed or not. */
function watching() {
  const onChange = vi.fn();
  const watches = new DirectoryWatches({ onChange, onRefused: () => {} });
  const look = (...paths: [path: string, identity: string][]) => {
    watches.begin();
    const changed = paths.map(([path, identity]) => watches.changed(path, identity));
    watches.end();
    return changed;
  };
  return { look, onChange };
}

it('after so many events that some may have been lost everything counts as changed, once', () => {
  const { look } = watching();
  const paths: [string, string][] = [
    ['/a', '1'],
    ['/b', '1'],
  ];
  expect(look(...paths)).toEqual([true, true]);
  for (let i = 0; i < 4096; i++) watchers[0]!.happens('rename', 'new.png');
  expect(look(...paths)).toEqual([true, false]);
  for (let i = 0; i < 4097; i++) watchers[0]!.happens('rename', 'new.png');
  expect(look(...paths)).toEqual([true, true]);
  expect(look(...paths)).toEqual([false, false]);
});

it('what has taken the place of a directory is watched instead of it', () => {
  const { look } = watching();
  look(['/a', '1']);
  expect(look(['/a', '2'])).toEqual([true]);
  expect(watchers.map(({ path }) => path)).toEqual(['/a', '/a']);
  expect(watchers.map(({ close }) => vi.mocked(close).mock.calls.length)).toEqual([1, 0]);
});

it('a directory whose watch breaks is read again, and watched anew', () => {
  const { look, onChange } = watching();
  look(['/a', '1']);
  watchers[0]!.emit('error', new Error('EPERM'));
  expect(onChange).toHaveBeenCalledTimes(1);
  expect(look(['/a', '1'])).toEqual([true]);
  expect(watchers).toHaveLength(2);
});

it('names that begin with a dot do not count, but for that of the directory itself', () => {
  const { look, onChange } = watching();
  look(['/.a', '1']);
  watchers[0]!.happens('rename', '.partial');
  expect([onChange.mock.calls.length, look(['/.a', '1'])]).toEqual([0, [false]]);
  watchers[0]!.happens('rename', '.a');
  expect([onChange.mock.calls.length, look(['/.a', '1'])]).toEqual([1, [true]]);
});
