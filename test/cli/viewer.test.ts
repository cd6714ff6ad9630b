import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { isBuilt, root } from '../built.ts';
import { runLiif } from './run-liif.ts';

const folder = await mkdtemp(join(tmpdir(), 'liif-site-'));
afterAll(() => rm(folder, { recursive: true, force: true }));
const sample = (name: string) => join(root, 'samples/encoded', `${name}.liif`);

// It copies what is built, which a checkout has after `npm ci`.
it.skipIf(!isBuilt([]))(
  'viewer: copies page, weights and pictures for a static host, and adds to them',
  async () => {
    const first = await runLiif(['viewer', '-o', folder, sample('tea'), '--json']);
    expect(first.stderr).toBe('');
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout.toString()).pictures).toMatchObject([{ file: 'tea.liif', width: 512 }]);
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
    const { pictures } = JSON.parse(await readFile(join(folder, 'pictures.json'), 'utf8'));
    expect(pictures.map(({ file }: { file: string }) => file)).toEqual(['fiat.liif', 'tea.liif']);
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
