import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, expect, it } from 'vitest';
import { DECODER_HASHES } from '../../../src/model/decoder-hashes.ts';
import { readModelList } from '../../../src/model/model-list.ts';
import { decoderHashOf } from '../../../src/network/decoder-model.ts';
import { hashModel } from '../../../src/network/load.ts';
import { unpackDecoderPart } from '../../../src/network/packed-part.ts';
import { sha256 } from '../../../src/network/sha256.ts';
import { encodeFile, openEngine } from '../../../src/node.ts';
import { isBuilt, root } from '../../built.ts';
import { tinyModelBytes } from '../../fixtures/tiny-model.ts';
import { finished, liifArguments, runLiif, startLiif } from '../run-liif.ts';
import { expectFailure } from '../workbench.ts';

const folder = await mkdtemp(join(tmpdir(), 'liif-site-'));
afterAll(() => rm(folder, { recursive: true, force: true }));
/** Names and bytes of all files in a folder. */
async function contentsOf(place: string): Promise<[string, string][]> {
  const entries = await readdir(place, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const read = paths.sort().map(async (path): Promise<[string, string]> => {
    const hash = createHash('sha256').update(await readFile(path));
    return [path, hash.digest('hex')];
  });
  return Promise.all(read);
}
const sample = (name: string) => join(root, 'samples/encoded', `${name}.liif`);
/** Of 60 x 44 or less, whose thumbnails are soon made. */
const small = (name: string) => join(root, 'format-spec/vectors/valid', `released-${name}.liif`);

// It copies what is built, which a checkout has after `npm ci`.
it.skipIf(!isBuilt([]))(
  'viewer: copies page, weights and pictures for a static host, and adds to them',
  async () => {
    const first = await runLiif(['viewer', '-o', folder, sample('tea'), '--json']);
    expect(first.stderr).toBe('');
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout.toString()).pictures).toMatchObject([{ file: 'tea.liif', width: 512 }]);
    // The page of a server names addresses that are not there.
    const page = await readFile(join(folder, 'index.html'), 'utf8');
    expect(/<noscript>.*href="(.*?)"/.exec(page)![1]).toBe('pictures.json');
    // What pictures are shown and decoded by comes with the first script, and all that it imports.
    const early = [...page.matchAll(/<link rel="(?:modulepreload|preload)".* href="\.\/(.*?)"/g)].map(
      ([, file]) => file!,
    );
    for (const name of ['picture-parts', 'decoder-worker'])
      expect(early).toContainEqual(expect.stringMatching(`^assets/${name}-[^/]{8}\\.js$`));
    const [script] = /assets\/index-[^/]{8}\.js/.exec(page)!;
    for (const file of early.filter((path) => path.endsWith('.js'))) {
      const code = await readFile(join(folder, file), 'utf8');
      for (const [, imported] of code.matchAll(/\bfrom ?["`]\.\/(.*?)["`]/g))
        expect([script, ...early]).toContain(`assets/${imported}`);
    }
    const second = await runLiif(['viewer', '-o', folder, sample('fiat')]);
    expect(second.stdout.toString()).toContain('?src=fiat.liif');
    expect((await readdir(folder)).sort()).toEqual(
      expect.arrayContaining(['assets', 'fiat.liif', 'index.html', 'model', 'pictures.json', 'tea.liif']),
    );
    for (const [copy, original] of [
      ['model/liif-1.safetensors', 'src/model/liif-1.safetensors'],
      ['tea.liif', 'samples/encoded/tea.liif'],
    ] as const)
      expect((await readFile(join(folder, copy))).equals(await readFile(join(root, original)))).toBe(true);
    const [decoderHash] = DECODER_HASHES.values();
    const packed = await readFile(join(folder, `model/${decoderHash}.part`));
    expect(await sha256(await unpackDecoderPart(new Blob([packed]).stream()))).toBe(decoderHash);
    const { pictures } = JSON.parse(await readFile(join(folder, 'pictures.json'), 'utf8'));
    expect(pictures.map(({ file }: { file: string }) => file)).toEqual(['fiat.liif', 'tea.liif']);
    for (const name of ['tea10.liif', 'tea9.liif', 'tea 1 #2.liif'])
      await copyFile(small('photograph'), join(folder, name));
    const third = await runLiif(['viewer', '-o', folder]);
    expect(third.stdout.toString().match(/\?src=.*/g)).toEqual([
      '?src=fiat.liif',
      '?src=tea%201%20%25232.liif',
      '?src=tea.liif',
      '?src=tea9.liif',
      '?src=tea10.liif',
    ]);
  },
);

it.skipIf(!isBuilt([]))(
  'viewer: takes weights of one’s own along, and asks for those that are missing',
  async () => {
    const site = join(folder, 'models');
    const at = (name: string) => join(folder, name);
    const written: { hash: string; picture: string; file: string }[] = [];
    for (const seed of [71, 72]) {
      const weights = tinyModelBytes({ seed });
      const engine = await openEngine({ model: weights, engine: 'wasm', threads: 0 });
      const [picture, file] = [at(`${seed}.liif`), at(`${seed}.safetensors`)];
      await encodeFile({ width: 16, height: 16, channels: 3, data: new Uint8Array(768) }, picture, {
        engine,
      });
      await writeFile(file, weights);
      written.push({ hash: engine.model.hash, picture, file });
      await engine.close();
    }
    const [one, two] = written as [(typeof written)[0], (typeof written)[0]];
    const missing = new RegExp(`71\\.liif: the file needs model ${one.hash}.*--model FILE`);
    await expectFailure(['viewer', '-o', site, one.picture], 5, missing);
    for (const { picture, file } of written) {
      const { code, stderr } = await runLiif(['viewer', '-o', site, picture, '--model', file]);
      expect([code, stderr]).toEqual([0, '']);
    }
    // Once there, they serve for further pictures.
    expect((await runLiif(['viewer', '-o', site, one.picture])).code).toBe(0);
    const list = readModelList(JSON.parse(await readFile(join(site, 'model/models.json'), 'utf8')));
    expect(list.map(({ hash }) => hash).sort()).toEqual([one.hash, two.hash].sort());
    for (const { hash, decoderHash, file } of list) {
      const bytes = await readFile(join(site, 'model', file));
      expect([await hashModel(bytes), await decoderHashOf(bytes)]).toEqual([hash, decoderHash]);
      expect(existsSync(join(site, `model/${decoderHash}.part`))).toBe(true);
    }
  },
);

it.skipIf(!isBuilt([]))('viewer: names the file that is no picture, and writes nothing', async () => {
  const cut = join(folder, 'cut.liif');
  await writeFile(cut, (await readFile(sample('tea'))).subarray(0, 3000));
  await expectFailure(
    ['viewer', '-o', join(folder, 'none'), sample('tea'), cut],
    4,
    /cut\.liif: chunk at byte/,
  );
  expect(await readdir(folder)).not.toContain('none');
});

it.skipIf(!isBuilt([]))(
  'viewer: names a damaged picture that is there already, and writes nothing',
  async () => {
    const site = join(folder, 'damaged');
    await mkdir(site);
    await writeFile(join(site, 'cut.liif'), (await readFile(sample('tea'))).subarray(0, 3000));
    await expectFailure(['viewer', '-o', site, sample('fiat')], 4, /damaged\/cut\.liif: chunk at byte/);
    expect(await readdir(site)).toEqual(['cut.liif']);
  },
);

it.skipIf(!isBuilt([]))('viewer: finishes what it could not finish before', async () => {
  const site = join(folder, 'half');
  await mkdir(site);
  await writeFile(join(site, 'assets'), 'in the way');
  expect((await runLiif(['viewer', '-o', site])).code).toBe(6);
  await rm(join(site, 'assets'));
  await writeFile(join(site, 'index.html'), 'a part of the page');
  expect((await runLiif(['viewer', '-o', site])).code).toBe(0);
  expect(await readFile(join(site, 'index.html'), 'utf8')).toContain('</html>');
});

it.skipIf(!isBuilt([]))(
  'viewer: leaves the site as it was where the disk is full, but for new files',
  async () => {
    const site = join(folder, 'full');
    expect((await runLiif(['viewer', '-o', site, small('photograph')])).code).toBe(0);
    const before = await contentsOf(site);
    // Instead of a full disk: no file may have more than so many blocks of 512 bytes.
    for (const blocks of [8, 60, 2000]) {
      const program = `ulimit -f ${blocks}; exec "$0" "$@"`;
      const args = liifArguments(['viewer', '-o', site, small('photograph'), small('grey')]);
      const child = spawn('sh', ['-c', program, process.execPath, ...args], { cwd: root });
      const { code, stderr } = await finished(child);
      expect(stderr).toMatch(/^liif: .*full.*: cannot be written: .*\n$/);
      expect(code).toBe(6);
      const after = await contentsOf(site);
      expect(after.filter(([name]) => before.some(([known]) => known === name))).toEqual(before);
      expect(after.filter(([name]) => /\.partial$/.test(name))).toEqual([]);
    }
  },
);

it.skipIf(!isBuilt([]))('viewer: writes through a link to the folder', async () => {
  const site = join(folder, 'linked');
  await mkdir(site);
  await symlink('linked', join(folder, 'link'));
  const { code, stderr } = await runLiif(['viewer', '-o', join(folder, 'link'), small('photograph')]);
  expect([code, stderr]).toEqual([0, '']);
  expect((await readdir(site)).sort()).toEqual(
    [
      'assets',
      'index.html',
      'model',
      'pictures.json',
      'released-photograph.liif',
      'thumbnails',
      'viewer.json',
    ].sort(),
  );
});

it.skipIf(!isBuilt([]))('viewer: leaves nothing unfinished behind when it is stopped', async () => {
  const site = join(folder, 'stopped');
  const child = startLiif(['viewer', '-o', site, sample('tea')]);
  const result = finished(child);
  while (!existsSync(join(site, 'viewer.json'))) {
    expect(child.exitCode, 'it ended before it could be stopped').toBeNull();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  child.kill('SIGINT');
  const { code, stderr } = await result;
  expect(stderr).toMatch(/^liif: interrupted/);
  expect(code).toBe(130);
  const names = await readdir(site, { recursive: true });
  expect(names.filter((name) => /\.partial$/.test(name))).toEqual([]);
  expect(names).not.toContain('pictures.json');
});

it.skipIf(!isBuilt([]))('viewer: leaves a site alone that is not its own', async () => {
  const site = join(folder, 'other');
  await mkdir(site);
  await writeFile(join(site, 'index.html'), 'hello');
  await expectFailure(['viewer', '-o', site, sample('tea')], 2, /other: has a page that is not the viewer's/);
  expect(await readdir(site)).toEqual(['index.html']);
  expect(await readFile(join(site, 'index.html'), 'utf8')).toBe('hello');
});

it.skipIf(!isBuilt([]))(
  'viewer: takes away what an earlier version of it has left, and nothing else',
  async () => {
    const site = join(folder, 'replaced');
    expect((await runLiif(['viewer', '-o', site, small('photograph')])).code).toBe(0);
    const page = (await readdir(join(site, 'assets'))).sort();
    // As if another version had been copied here, beside files of the site's owner.
    const list = JSON.parse(await readFile(join(site, 'viewer.json'), 'utf8'));
    list.files.push(
      'assets/main-0LDHASH0.js',
      'assets/../kept.txt',
      'released-photograph.liif',
      '/etc/hostname',
      7,
    );
    await writeFile(join(site, 'viewer.json'), JSON.stringify(list));
    for (const name of ['assets/main-0LDHASH0.js', 'assets/logo-0LDHASH0.js', 'kept.txt'])
      await writeFile(join(site, name), name);
    expect((await runLiif(['viewer', '-o', site])).code).toBe(0);
    expect((await readdir(join(site, 'assets'))).sort()).toEqual([...page, 'logo-0LDHASH0.js'].sort());
    expect(await readdir(site)).toEqual(
      expect.arrayContaining(['kept.txt', 'released-photograph.liif', 'index.html']),
    );
    // A list that is none deletes nothing, and is replaced.
    await writeFile(join(site, 'viewer.json'), '{"files": 3}');
    expect((await runLiif(['viewer', '-o', site])).code).toBe(0);
    expect((await readdir(join(site, 'assets'))).length).toBe(page.length + 1);
    expect(JSON.parse(await readFile(join(site, 'viewer.json'), 'utf8')).files.length).toBe(page.length);
  },
);

it.skipIf(!isBuilt([]))(
  'viewer: takes the pictures of folders, also of one that the output folder is in',
  async () => {
    const album = join(folder, 'album');
    const site = join(album, 'site');
    await mkdir(join(album, 'more'), { recursive: true });
    await copyFile(small('photograph'), join(album, 'one.liif'));
    await copyFile(small('grey'), join(album, 'more', 'two.liif'));
    for (let i = 0; i < 2; i++) {
      const { code, stdout, stderr } = await runLiif(['viewer', '-o', site, album, '--json']);
      expect([code, stderr]).toEqual([0, '']);
      expect(JSON.parse(stdout.toString()).pictures).toMatchObject([
        { file: 'one.liif' },
        { file: 'two.liif' },
      ]);
    }
    const none = join(site, 'model');
    await expectFailure(['viewer', '-o', site, none], 3, /model: there are no \.liif files in this folder/);
    const file = join(album, 'one.liif');
    await expectFailure(['viewer', '-o', file, join(album, 'more')], 6, /one\.liif: is not a folder/);
  },
);

it.skipIf(!isBuilt([]))('viewer: writes nothing where an input is no picture', async () => {
  const refused = await runLiif(['viewer', '-o', join(folder, 'new'), join(root, 'README.md')]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/README\.md: not a \.liif file/);
  const missing = await runLiif(['viewer', '-o', join(folder, 'new'), join(folder, 'none.liif')]);
  expect(missing.code).toBe(3);
  expect(await readdir(folder)).not.toContain('new');
});

it.skipIf(!isBuilt([]))(
  'viewer: makes thumbnails of pictures that are new or newer, and warns of those it cannot decode',
  async () => {
    const site = join(folder, 'thumbnails');
    const at = (name: string) => join(site, 'thumbnails', `${name}.liif.webp`);
    const odd = join(folder, 'odd #1?.liif');
    // Smaller than thumbnails are.
    await copyFile(small('photograph'), odd);
    expect((await runLiif(['viewer', '-o', site, sample('fiat'), odd])).stderr).toBe('');
    expect(await sharp(at('fiat')).metadata()).toMatchObject({ format: 'webp', width: 480, height: 480 });
    expect(await sharp(at('odd #1?')).metadata()).toMatchObject({ width: 60, height: 44 });
    const before = await readFile(at('fiat'));
    await writeFile(at('fiat'), 'kept');
    const bytes = await readFile(sample('heart'));
    bytes[bytes.length - 100]! ^= 1;
    await writeFile(join(site, 'damaged.liif'), bytes);
    const { code, stdout, stderr } = await runLiif(['viewer', '-o', site, '--json']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^liif: warning: damaged\.liif: has no thumbnail: .*damaged\n$/);
    const { pictures } = JSON.parse(stdout.toString());
    expect(pictures.map(({ thumbnail }: { thumbnail?: string }) => thumbnail)).toEqual([
      undefined,
      'thumbnails/fiat.liif.webp',
      'thumbnails/odd%20%231%3F.liif.webp',
    ]);
    expect(await readFile(at('fiat'), 'utf8')).toBe('kept');
    await runLiif(['viewer', '-o', site, sample('fiat')]);
    expect((await readFile(at('fiat'))).equals(before)).toBe(true);
  },
);
