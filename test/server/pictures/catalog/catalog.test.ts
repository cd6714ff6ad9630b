import { EventEmitter } from 'node:events';
import fs, { writeFileSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { Catalog } from '../../../../src/server/pictures/catalog/catalog.ts';
import { ScanSchedule } from '../../../../src/server/pictures/catalog/scan-schedule.ts';
import { directoryOf, eventually } from '../../server-fixture.ts';

const watched = fs.watch;

/** Paths that Linux watches for this process. */
async function watchCount(): Promise<number> {
  const folder = '/proc/self/fdinfo';
  const infos = await Promise.all(
    (await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8').catch(() => '')),
  );
  return infos.join('').match(/^inotify /gm)?.length ?? 0;
}

/**
 * Resolves when it has been asked so many times where a path leads: at each look at a root, by the clock or
 * because of events.
 */
async function looksAt(path: string, times: number): Promise<void> {
  const { realpath } = fs.promises;
  let seen = 0;
  const counted = vi.spyOn(fs.promises, 'realpath').mockImplementation(((...given: [string]) => {
    if (given[0] === path) seen++;
    return realpath(...given);
  }) as typeof realpath);
  syncBuiltinESMExports();
  try {
    await eventually(() => seen >= times);
  } finally {
    counted.mockRestore();
    syncBuiltinESMExports();
  }
}

it('a link out of its directory is named in one warning, however often the directory is read', async () => {
  const outside = await directoryOf({ 'secret.png': 'x' });
  const root = await directoryOf({ 'sub/a.png': 'x' });
  await symlink(join(outside, 'secret.png'), join(root, 'sub/out.png'));
  await symlink(root, join(root, 'itself'));
  const warnings: string[] = [];
  const catalog = await Catalog.open({
    roots: [root],
    plain: true,
    watch: false,
    onWarning: (message) => warnings.push(message),
  });
  await writeFile(join(root, 'b.png'), 'x');
  await catalog.rescan();
  expect(catalog.list().map(({ id }) => id)).toEqual(['b.png', 'sub/a.png']);
  expect(warnings).toEqual(['sub/out.png: a link that leads out of its directory is not served']);
  await catalog.close();
});

it('folders of packages are left out, and pictures whose ids no request may have, with a warning', async () => {
  const deep = Array(5).fill('a'.repeat(204)).join('/');
  const root = await directoryOf({
    'a.png': 'x',
    'node_modules/leaflet/marker.png': 'x',
    'sub/node_modules/b.png': 'x',
    'sub/node_modules.png': 'x',
    [`${deep}.png`]: 'x',
    [`${deep}/1.png`]: 'x',
  });
  const warnings: string[] = [];
  const catalog = await Catalog.open({
    roots: [root],
    plain: true,
    watch: false,
    onWarning: (message) => warnings.push(message),
  });
  await catalog.rescan();
  expect(catalog.list().map(({ id }) => id)).toEqual(['a.png', 'sub/node_modules.png']);
  expect(warnings.sort()).toEqual(
    [`${deep}.png`, `${deep}/1.png`].map(
      (name) => `${join(root, name)}: not served: its id has more than 1024 characters`,
    ),
  );
  await catalog.close();
});

it('a file that is no picture is not served, which is said', async () => {
  const root = await directoryOf({ 'a.txt': 'x', 'b.png': 'x' });
  const roots = [join(root, 'a.txt'), join(root, 'b.png')];
  for (const [plain, expected] of [
    [true, ['.liif, or an image that ends with .png, .jpg, .jpeg, .tif, .tiff, .webp']],
    [false, ['.liif', '.liif']],
  ] as const) {
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    const catalog = await Catalog.open({ roots, plain, watch: false, onWarning });
    await catalog.rescan();
    expect(warnings).toEqual(
      expected.map(
        (ends, i) => `${roots[i]}: not served: expected a directory, or a file that ends with ${ends}`,
      ),
    );
    await catalog.close();
  }
});

it('pictures are found by a part of their ids, in whatever case and however letters are composed', async () => {
  const names = ['Karte/1.png', 'Karte/2.liif', 'Karte/2.png', 'Müller.png', 'other.png'];
  const root = await directoryOf(Object.fromEntries(names.map((name) => [name, 'x'])));
  const catalog = await Catalog.open({ roots: [root], plain: true, watch: false });
  const found = (part: string) => catalog.list(part).map(({ id }) => id);
  expect(found('kArTe')).toEqual(['Karte/1.png', 'Karte/2', 'Karte/2.png']);
  expect(catalog.originalsIn(catalog.list('karte/2'))).toBe(1);
  expect(found('mu\u0308LL')).toEqual(['Müller.png']);
  expect(found('none')).toEqual([]);
  await catalog.close();
});

it('a search folds what is asked for, and not the names of all pictures again', async () => {
  const names = Array.from({ length: 20 }, (_, i) => `ΝΗΣΟΣ/ΝΗΣΟΣ ${i}ΟΣ.png`);
  const root = await directoryOf(Object.fromEntries(names.map((name) => [name, 'x'])));
  const catalog = await Catalog.open({ roots: [root], plain: true, watch: false });
  const folds = vi.spyOn(String.prototype, 'normalize');
  try {
    // As the last letter of a word, sigma has a form of its own.
    expect(catalog.list('7ος').map(({ id }) => id)).toEqual(['7', '17'].map((i) => `ΝΗΣΟΣ/ΝΗΣΟΣ ${i}ΟΣ.png`));
    expect(catalog.list('7ΟΣ.PNG')).toHaveLength(2);
    expect(folds).toHaveBeenCalledTimes(2);
  } finally {
    folds.mockRestore();
    await catalog.close();
  }
});

it('a link that is listed as a directory, as by Node 20 on Windows, is not followed', async () => {
  const outside = await directoryOf({ 'secret.png': 'x' });
  const root = await directoryOf({ 'sub/a.png': 'x' });
  await symlink(outside, join(root, 'out'));
  await symlink(root, join(root, 'itself'));
  const { isDirectory } = fs.Dirent.prototype;
  const listed = vi.spyOn(fs.Dirent.prototype, 'isDirectory').mockImplementation(function (this: fs.Dirent) {
    return isDirectory.call(this) || this.isSymbolicLink();
  });
  try {
    const catalog = await Catalog.open({ roots: [root], plain: true, watch: false });
    expect(catalog.list().map(({ id }) => id)).toEqual(['sub/a.png']);
    await catalog.close();
  } finally {
    listed.mockRestore();
  }
});

it('pictures of a directory that is being filled without a pause are there before it is full', async () => {
  const root = await directoryOf();
  const catalog = await Catalog.open({ roots: [root], plain: true, watch: true });
  const filling = new AbortController();
  const filled = (async () => {
    for (let i = 0; !filling.signal.aborted; i++) {
      await writeFile(join(root, `${i}.png`), 'x');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  try {
    await eventually(() => catalog.size > 0);
  } finally {
    filling.abort();
    await filled;
    await catalog.close();
  }
});

it('a file that comes before its directory is watched, just after that was read, is noticed', async () => {
  const root = await directoryOf({ 'a.png': 'x' });
  const catalog = await Catalog.open({ roots: [root], plain: true, watch: true });
  writeFileSync(join(root, 'b.png'), 'x');
  await eventually(() => catalog.size === 2);
  await catalog.close();
});

it('a file that is named by itself is seen to change', async () => {
  const path = join(await directoryOf({ 'a.png': 'x' }), 'a.png');
  const catalog = await Catalog.open({ roots: [path], plain: true, watch: true });
  const { stamp } = catalog.get('a.png')!;
  await writeFile(path, 'longer');
  await eventually(() => catalog.get('a.png')!.stamp !== stamp);
  await catalog.close();
});

it.skipIf(process.platform !== 'linux')(
  'directories are watched, not each of their files, and changes are seen in all of them, new and renamed ones too',
  async () => {
    const files = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`${i % 3}/deep/${i}.png`, 'x']));
    const root = await directoryOf(files);
    const before = await watchCount();
    const catalog = await Catalog.open({ roots: [root, join(root, '1')], plain: true, watch: true });
    expect((await watchCount()) - before).toBe(7);
    expect(catalog.size).toBe(80);
    await writeFile(join(root, '1/deep/a.png'), 'x');
    await eventually(() => ['1/deep/a.png', 'deep/a.png'].every((id) => catalog.get(id)));
    await rename(join(root, '1/deep'), join(root, '2/deeper'));
    await eventually(() => catalog.get('2/deeper/a.png') !== undefined && catalog.size === 61);
    await mkdir(join(root, '1/deep'));
    await writeFile(join(root, '1/deep/b.png'), 'x');
    await writeFile(join(root, '2/deeper/c.png'), 'x');
    await eventually(() => ['deep/b.png', '2/deeper/c.png'].every((id) => catalog.get(id)));
    const { stamp } = catalog.get('2/deeper/c.png')!;
    await writeFile(join(root, '2/deeper/c.png'), 'longer');
    await eventually(() => catalog.get('2/deeper/c.png')!.stamp !== stamp);
    await rm(join(root, '2'), { recursive: true });
    await eventually(() => catalog.size === 22);
    await catalog.close();
    expect(await watchCount()).toBe(before);
  },
);

it('directories that may not be read are named, and served when they may, the root too', async () => {
  const root = await directoryOf({ 'sub/a.png': 'x' });
  await chmod(join(root, 'sub'), 0);
  await chmod(root, 0);
  const { opendir } = fs.promises;
  // Nothing is kept from root: it is told what others are.
  if (process.getuid?.() === 0)
    fs.promises.opendir = async (...given) => {
      const { mode } = await fs.promises.stat(given[0]);
      if ((mode & 0o400) === 0) throw Object.assign(new Error('no'), { code: 'EACCES' });
      return opendir(...given);
    };
  syncBuiltinESMExports();
  const warnings: string[] = [];
  const onWarning = (message: string) => warnings.push(message);
  const catalog = await Catalog.open({ roots: [root], plain: true, watch: true, onWarning });
  try {
    await chmod(root, 0o700);
    await eventually(() => warnings.length === 2);
    await chmod(join(root, 'sub'), 0o700);
    await eventually(() => catalog.size === 1);
    expect(warnings).toEqual([root, join(root, 'sub')].map((path) => `${path} cannot be read (EACCES)`));
  } finally {
    fs.promises.opendir = opendir;
    syncBuiltinESMExports();
    await catalog.close();
  }
});

it('pictures stay while the system cannot read their directory, and what has come meanwhile is there when it can', async () => {
  const root = await directoryOf({ 'a.png': 'x', 'sub/b.png': 'x' });
  const { opendir } = fs.promises;
  let full = true;
  fs.promises.opendir = async (...given) => {
    if (full) throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
    return opendir(...given);
  };
  syncBuiltinESMExports();
  const warnings: string[] = [];
  const onWarning = (message: string) => warnings.push(message);
  const watching = await Catalog.open({ roots: [root], plain: true, watch: true, onWarning });
  const asked = await Catalog.open({ roots: [root], plain: true, watch: false });
  const ids = (catalog: Catalog) => catalog.list().map(({ id }) => id);
  const both = (...wanted: string[]) =>
    eventually(() => [watching, asked].every((catalog) => ids(catalog).join() === wanted.join()));
  try {
    expect([watching.size, asked.size]).toEqual([0, 0]);
    full = false;
    await both('a.png', 'sub/b.png');
    full = true;
    await writeFile(join(root, 'c.png'), 'x');
    await watching.rescan(root);
    expect(ids(watching)).toEqual(['a.png', 'sub/b.png']);
    await asked.rescan();
    expect(ids(asked)).toEqual(['a.png', 'sub/b.png']);
    full = false;
    await both('a.png', 'c.png', 'sub/b.png');
    const told = `${root} cannot be read now (EMFILE); what it had stays`;
    expect(warnings.slice(0, 2)).toEqual([told, told]);
  } finally {
    fs.promises.opendir = opendir;
    syncBuiltinESMExports();
    await Promise.all([watching.close(), asked.close()]);
  }
});

it('a directory that may not be watched, as Windows says it, is no bound of the system', async () => {
  const root = await directoryOf({ 'a.png': 'x' });
  vi.spyOn(fs, 'watch').mockImplementation(() => {
    throw Object.assign(new Error('watch'), { code: 'EPERM' });
  });
  syncBuiltinESMExports();
  const warnings: string[] = [];
  const onWarning = (message: string) => warnings.push(message);
  const catalog = await Catalog.open({ roots: [root], plain: true, watch: true, onWarning });
  try {
    expect([catalog.size, warnings]).toEqual([1, []]);
  } finally {
    vi.mocked(fs.watch).mockRestore();
    syncBuiltinESMExports();
    await catalog.close();
  }
});

it('where the system lets no more be watched, one warning says so, and what changes is seen with other changes', async () => {
  const root = await directoryOf({ 'a/a.png': 'x', 'b/b.png': 'x', 'c/c.png': 'x' });
  const warnings: string[] = [];
  let left = 2;
  const watch = vi.spyOn(fs, 'watch').mockImplementation(((...given: Parameters<typeof fs.watch>) => {
    if (left-- <= 0) throw Object.assign(new Error('watch'), { code: 'ENOSPC' });
    return watched(...given);
  }) as typeof fs.watch);
  syncBuiltinESMExports();
  const catalog = await Catalog.open({
    roots: [root],
    plain: true,
    watch: true,
    onWarning: (message) => warnings.push(message),
  });
  try {
    for (const name of ['a', 'b', 'c']) await writeFile(join(root, name, 'new.png'), 'x');
    await writeFile(join(root, 'd.png'), 'x');
    await eventually(() => catalog.size === 7);
    expect(warnings).toEqual([expect.stringMatching(/no more directories be watched \(ENOSPC\)/)]);
  } finally {
    watch.mockRestore();
    syncBuiltinESMExports();
    await catalog.close();
  }
});

it('a directory that goes and comes back is served again and watched as before, and so is a file', async () => {
  const parent = await directoryOf({ 'photos/a.png': 'x', 'b.png': 'x' });
  const photos = join(parent, 'photos');
  const file = join(parent, 'b.png');
  const warnings: string[] = [];
  const catalog = await Catalog.open({
    roots: [photos, file],
    plain: true,
    watch: true,
    onWarning: (message) => warnings.push(message),
  });
  const has = (...ids: string[]) =>
    eventually(() => JSON.stringify(catalog.list().map(({ id }) => id)) === JSON.stringify(ids));
  await rename(photos, `${photos}-old`);
  await rm(file);
  await has();
  await eventually(() => warnings.length === 2);
  // Each place is looked at by its own clock.
  expect(warnings).toContainEqual(expect.stringMatching(/photos has gone/));
  await mkdir(photos);
  await writeFile(file, 'x');
  await has('b.png');
  await eventually(() => warnings.length === 4);
  await writeFile(join(photos, 'c.png'), 'x');
  await has('b.png', 'c.png');
  // At once, so that no look finds the place empty.
  await rm(photos, { recursive: true });
  await mkdir(photos);
  await has('b.png');
  await looksAt(photos, 4);
  // By now only its watch tells of what happens there.
  await writeFile(join(photos, 'd.png'), 'x');
  await has('b.png', 'd.png');
  await catalog.close();
});

it('a directory that is named by a link is followed, and watched, where the link is made to lead', async () => {
  const parent = await directoryOf({ '1/a.png': 'x', '2/b.png': 'x', '2/sub/c.png': 'x' });
  const current = join(parent, 'current');
  const point = async (at: string) => {
    await symlink(join(parent, at), `${current}.new`);
    await rename(`${current}.new`, current);
  };
  await point('1');
  const warnings: string[] = [];
  const watching = await Catalog.open({
    roots: [current],
    plain: true,
    watch: true,
    onWarning: (message) => warnings.push(message),
  });
  const asked = await Catalog.open({ roots: [current], plain: true, watch: false });
  const ids = (catalog: Catalog) => catalog.list().map(({ id }) => id);
  const has = (...wanted: string[]) => eventually(() => ids(watching).join() === wanted.join());
  await has('a.png');
  await point('2');
  await has('b.png', 'sub/c.png');
  expect(watching.directory).toBe(join(parent, '2'));
  await asked.rescan();
  expect(ids(asked)).toEqual(['b.png', 'sub/c.png']);
  await writeFile(join(parent, '2/sub/d.png'), 'x');
  await has('b.png', 'sub/c.png', 'sub/d.png');
  expect(warnings).toEqual([]);
  await rm(current);
  await has();
  await point('1');
  await has('a.png');
  await Promise.all([watching.close(), asked.close()]);
});

it('lists pictures in an order in which numbers go by their value, across directories', async () => {
  const root = await directoryOf({
    'IMG_10.liif': 'x',
    'img_3.png': 'x',
    'IMG_2.liif': 'x',
    'b/2.png': 'x',
    'b/10.png': 'x',
  });
  const catalog = await Catalog.open({ roots: [root], plain: true, watch: false });
  expect(catalog.list().map(({ id }) => id)).toEqual(['b/2.png', 'b/10.png', 'IMG_2', 'img_3.png', 'IMG_10']);
  expect(catalog.list()).toBe(catalog.list());
  await catalog.close();
});

it('pictures that links lead to through names with a dot are seen when those change, as in volumes of Kubernetes', async () => {
  const root = await directoryOf({ '..v1/a.png': 'x' });
  await symlink('..v1', join(root, '..data'));
  await symlink('..data/a.png', join(root, 'a.png'));
  const catalog = await Catalog.open({ roots: [root], plain: true, watch: true });
  expect(catalog.get('a.png')?.path).toBe(join(root, '..v1/a.png'));
  await mkdir(join(root, '..v2'));
  await writeFile(join(root, '..v2/a.png'), 'y');
  await symlink('..v2', join(root, '..data_tmp'));
  await rename(join(root, '..data_tmp'), join(root, '..data'));
  await rm(join(root, '..v1'), { recursive: true });
  await eventually(() => catalog.get('a.png')?.path === join(root, '..v2/a.png'));
  await catalog.close();
});

it('a picture is found by its whole name before a virtual canvas, and beside its originals, which plain images alone are', async () => {
  const root = await directoryOf({
    'a.liif': 'x',
    'a.png': 'x',
    'a.jpg': 'x',
    'b@2x.png': 'x',
    'b.png': 'x',
    'c.liif': 'x',
    'c.png.liif': 'x',
    'd.txt.png': 'x',
    'one/e.png': 'x',
  });
  const catalog = await Catalog.open({
    roots: ['b.png', '.', 'a.png'].map((path) => join(root, path)),
    plain: true,
    watch: false,
  });
  const find = (name: string, factor: number) => {
    const found = catalog.find({ name: `${name}@${factor}x.png`, canvas: { name: `${name}.png`, factor } });
    return found && [found.entry.id, found.factor];
  };
  expect([find('b', 2), find('b', 4), find('z', 2)]).toEqual([['b@2x.png', 1], ['b.png', 4], undefined]);
  expect(catalog.find({ name: 'a' })).toEqual({ entry: catalog.get('a'), factor: 1 });
  expect(catalog.find({ name: 'z' })).toBeUndefined();
  const originals = ['a', 'c', 'c.png', 'a.png'].map((id) => catalog.originalOf(catalog.get(id)!)?.id);
  expect(originals).toEqual(['a.png', undefined, undefined, undefined]);
  expect(catalog.originalsIn(catalog.list())).toBe(1);
  expect(catalog.originalsIn(catalog.list('c'))).toBe(0);
  // Uploads go to a directory, whatever stands before it.
  expect(catalog.directory).toBe(root);
  await catalog.close();
});

it('of two pictures with one id the .liif is served, else that of the first root, and one warning says so', async () => {
  const liif = await directoryOf({ 'a.png.liif': 'x' });
  const plain = await directoryOf({ 'a.png': 'x' });
  const other = await directoryOf({ 'a.png': 'x', 'b.png': 'x' });
  for (const [roots, first] of [
    [[liif, plain], liif],
    [[plain, liif], liif],
    [[plain, other], plain],
    [[other, plain], other],
  ] as const) {
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    const catalog = await Catalog.open({ roots, plain: true, watch: false, onWarning });
    await catalog.rescan();
    expect(catalog.get('a.png')!.root).toBe(first);
    expect(warnings).toEqual(['two pictures have the id a.png; one of them is not served']);
    await catalog.close();
  }
});

/**
 * What becomes of a catalog by the clock, which stands still, while the system tells of nothing by itself.
 */
async function atRest(
  files: Readonly<Record<string, string>>,
  whenRead: (happens: (name: string) => void) => void = () => {},
) {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const tell: fs.WatchListener<string>[] = [];
  const watch = vi.spyOn(fs, 'watch').mockImplementation(((...given: Parameters<typeof fs.watch>) => {
    tell.push(given.at(-1) as fs.WatchListener<string>);
    return Object.assign(new EventEmitter(), { close: () => {} });
  }) as unknown as typeof fs.watch);
  syncBuiltinESMExports();
  const root = await directoryOf(files);
  let reads = 0;
  const happens = (name: string) => {
    for (const listener of tell) listener('rename', name);
  };
  const onChange = () => {
    reads++;
    whenRead(happens);
  };
  const catalog = await Catalog.open({ roots: [root], plain: true, watch: true, onChange }).finally(() => {
    watch.mockRestore();
    syncBuiltinESMExports();
  });
  const looks = vi.spyOn(ScanSchedule.prototype, 'scanNow');
  onTestFinished(() => looks.mockRestore());
  return { catalog, root, happens, looks, readings: () => reads };
}

it('a look begins when events have ceased for a moment, or have gone on for a second, and not after the end', async () => {
  const { catalog, happens, looks } = await atRest({ 'a.png': 'x' });
  for (let ended = 1; ended <= 2; ended++) {
    happens('a.png');
    vi.advanceTimersByTime(100);
    happens('a.png');
    vi.advanceTimersByTime(149);
    expect(looks).toHaveBeenCalledTimes(ended - 1);
    vi.advanceTimersByTime(1);
    expect(looks).toHaveBeenCalledTimes(ended);
    await looks.mock.results.at(-1)!.value;
  }
  for (let event = 0; event < 10; event++) {
    happens('a.png');
    expect(looks).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(100);
  }
  expect(looks).toHaveBeenCalledTimes(3);
  await looks.mock.results.at(-1)!.value;
  happens('a.png');
  expect(vi.getTimerCount()).toBe(2); // the one for the event, and that of the root
  await catalog.close();
  happens('a.png');
  catalog.missing(catalog.get('a.png')!);
  expect(vi.getTimerCount()).toBe(0);
});

it('after a look that took long events wait four times as long, but not after the first', async () => {
  const { catalog, happens, looks } = await atRest({ 'a.png': 'x' }, () => vi.advanceTimersByTime(100));
  happens('a.png');
  vi.advanceTimersByTime(150);
  expect(looks).toHaveBeenCalledTimes(1);
  await looks.mock.results[0]!.value;
  happens('a.png');
  vi.advanceTimersByTime(399);
  expect(looks).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1);
  expect(looks).toHaveBeenCalledTimes(2);
  await catalog.close();
});

it('what happens during a look is seen to by one more look, which comes soon after the first', async () => {
  let during = true;
  const { catalog, looks } = await atRest({ 'a.png': 'x' }, (happens) => {
    vi.advanceTimersByTime(100);
    if (during) happens('a.png');
  });
  vi.advanceTimersByTime(150);
  expect(looks).toHaveBeenCalledTimes(1);
  await looks.mock.results[0]!.value;
  vi.advanceTimersByTime(399);
  expect(looks).toHaveBeenCalledTimes(1);
  during = false;
  vi.advanceTimersByTime(1);
  expect(looks).toHaveBeenCalledTimes(2);
  await looks.mock.results[1]!.value;
  vi.advanceTimersByTime(5000);
  expect(looks).toHaveBeenCalledTimes(2);
  await catalog.close();
});

it('a directory that is named, and that of a missing picture, is read though the system has told of nothing', async () => {
  const { catalog, root, looks } = await atRest({ 'a.png': 'x' });
  await writeFile(join(root, 'b.png'), 'x');
  await catalog.rescan();
  expect(catalog.size).toBe(1);
  await catalog.rescan(root);
  expect(catalog.size).toBe(2);
  await rm(join(root, 'b.png'));
  catalog.missing(catalog.get('b.png')!);
  vi.advanceTimersByTime(150);
  await looks.mock.results.at(-1)!.value;
  expect(catalog.list().map(({ id }) => id)).toEqual(['a.png']);
  await catalog.close();
});

it('looks do not overlap, those asked for meanwhile are one, and closing waits for the one that runs and lets no other begin', async () => {
  const { catalog, readings } = await atRest({ 'a.png': 'x' });
  const first = catalog.rescan();
  await new Promise(setImmediate);
  const [second, third] = [catalog.rescan(), catalog.rescan()];
  expect([second === first, second === third]).toEqual([false, true]);
  await first;
  expect(readings()).toBe(2);
  await second;
  expect(readings()).toBe(3);
  void catalog.rescan();
  await new Promise(setImmediate);
  await catalog.close();
  expect(readings()).toBe(4);
  await catalog.rescan();
  expect(readings()).toBe(4);
});
