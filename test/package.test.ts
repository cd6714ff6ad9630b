import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isBuilt, root } from './built.ts';

const run = promisify(execFile);

interface Packed {
  readonly filename: string;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

/**
 * The package as somebody else gets it: packed, and installed into an empty project. The project's
 * dependencies are those of this checkout.
 */
describe('the package', () => {
  let project: string;
  let packed: Packed;
  const inProject = (command: string, ...args: string[]) => run(command, args, { cwd: project });
  const node = (script: string) => inProject(process.execPath, '--input-type=module', '-e', script);

  // Packing, compiling and the starts of several processes.
  vi.setConfig({ testTimeout: 240_000 });
  beforeAll(async () => {
    if (!isBuilt(['src', 'viewer'])) await run('npm', ['run', 'build'], { cwd: root });
    project = await mkdtemp(join(tmpdir(), 'liif-package-'));
    const { stdout } = await run(
      'npm',
      ['pack', '--json', '--ignore-scripts', '--pack-destination', project],
      { cwd: root, maxBuffer: 2 ** 24 },
    );
    // A list, and from npm 12 on an object of packages by their names.
    [packed] = Object.values(JSON.parse(stdout)) as [Packed];
    await writeFile(join(project, 'package.json'), '{ "type": "module" }');
    await installInto(project, join(project, packed.filename));
  }, 240_000);
  afterAll(() => rm(project, { recursive: true, force: true }));

  it('takes less than 25 MB, and has weights, kernels and viewer but no sources', () => {
    expect(packed.unpackedSize).toBeLessThan(25e6);
    const paths = packed.files.map(({ path }) => path);
    for (const path of [
      'LICENSE',
      'README.md',
      'dist/node.js',
      'dist/node.d.ts',
      'dist/model/liif-1.safetensors',
      'dist/engine/wasm/kernels.wasm',
      'dist/engine/wasm/kernels-shared.wasm',
      'dist/engine/wasm/gradient-kernels.wasm',
      'dist/engine/wasm/gradient-kernels-shared.wasm',
      'dist/viewer/index.html',
      'dist/leaflet/liif-leaflet.js',
      'src/BROWSER.md',
      'src/server/README.md',
      'src/server/deploy/nginx.conf',
    ])
      expect(paths).toContain(path);
    expect(paths.filter((path) => /^(test|samples|viewer|format-spec)\//.test(path))).toEqual([
      'viewer/README.md',
    ]);
    expect(paths.filter((path) => /\.ts$/.test(path) && !/\.d\.ts$/.test(path))).toEqual([]);
  });

  it('has the licenses of what its viewer contains beside it', async () => {
    const licenses = await readFile(
      join(project, 'node_modules/liif/dist/viewer/assets/licenses.md'),
      'utf8',
    );
    expect(licenses.match(/^## \S+/gm)).toEqual(['## crc-32', '## leaflet', '## p-limit', '## yocto-queue']);
    expect(licenses).toContain('Volodymyr Agafonkin');
  });

  it('runs as `npx liif`', async () => {
    const { stdout } = await inProject('npx', '--no-install', 'liif', '--version');
    expect(stdout.trim()).toBe(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).version);
  });

  it('prints its version without loading an image library, a server or a schema', async () => {
    const cli = join(project, 'node_modules/liif/dist/cli/liif.js');
    const { stdout } = await node(`
      import { createRequire } from 'node:module';
      process.argv = [process.execPath, ${JSON.stringify(cli)}, '--version'];
      await import(${JSON.stringify(cli)});
      const loaded = Object.keys(createRequire(${JSON.stringify(cli)}).cache);
      console.log(loaded.filter((path) => /[\\\\/](sharp|express|zod|cli-progress)[\\\\/]/.test(path)).length);
    `);
    expect(stdout.trim().split('\n').at(-1)).toBe('0');
  });

  it('encodes and decodes, by the command line and by the library, to the same bytes', async () => {
    const [from, to] = [join(root, 'samples/originals/alpacas.jpg'), join(project, 'alpacas.jpg')];
    await sharp(from).extract({ left: 200, top: 200, width: 96, height: 64 }).toFile(to);
    await inProject(process.execPath, 'node_modules/.bin/liif', 'encode', 'alpacas.jpg');
    const { stdout } = await node(`
      import { readFile } from 'node:fs/promises';
      import { decode, encode, openEngine } from 'liif';
      const bytes = await encode('alpacas.jpg');
      const engine = await openEngine();
      const { width, height } = await decode(bytes, { region: { x: 0, y: 0, width: 64, height: 64 }, scale: 4, engine });
      await engine.close();
      console.log(JSON.stringify([Buffer.compare(await readFile('alpacas.liif'), bytes), width, height, engine.name]));
    `);
    expect(JSON.parse(stdout)).toEqual([0, 256, 256, 'wasm']);
  });

  it('says which package reads HEIC, and takes it when it is there', async () => {
    await cp(join(root, 'test/fixtures/phone.heic'), join(project, 'phone.heic'));
    const encode = () => inProject(process.execPath, 'node_modules/.bin/liif', 'encode', 'phone.heic');
    const { code, stderr } = await encode().catch((error) => error);
    expect([code, stderr]).toEqual([
      5,
      expect.stringMatching(/^liif: phone\.heic: .*npm install heic-decode.*\n$/),
    ]);
    await symlink(join(root, 'node_modules/heic-decode'), join(project, 'node_modules/heic-decode'), 'dir');
    expect((await encode()).stdout).toContain('48 x 32');
  });

  it('serves its viewer', async () => {
    const { stdout } = await node(`
      import { serve } from 'liif/server';
      const running = await serve({ roots: ['.'], port: 0, logLevel: 'silent', watch: false });
      const page = await fetch(running.url);
      const list = await fetch(new URL('api/images', running.url));
      console.log(JSON.stringify([page.status, /<script/.test(await page.text()), list.status]));
      await running.stop();
    `);
    expect(JSON.parse(stdout)).toEqual([200, true, 200]);
  });

  it('is bundled by esbuild as BROWSER.md says: every file that is named is there', async () => {
    const document = await readFile(join(root, 'src/BROWSER.md'), 'utf8');
    const [, commands] = /^```sh\n(esbuild .*?)^```/ms.exec(document)!;
    await writeFile(join(project, 'page.js'), "console.log(await import('liif/browser'));");
    const PATH = `${join(root, 'node_modules/.bin')}:${process.env.PATH}`;
    await run('bash', ['-ec', commands!], { cwd: project, env: { ...process.env, PATH } });
    const site = join(project, 'site');
    const named: string[] = [];
    for (const file of (await readdir(site, { recursive: true })).filter((name) => name.endsWith('.js'))) {
      const code = await readFile(join(site, file), 'utf8');
      for (const [, name] of code.matchAll(/new URL\(\s*"(.*?)(?:\?.*)?",\s*import\.meta\.url/g))
        named.push(join(site, file, '..', name!));
    }
    expect(named.length).toBeGreaterThan(8);
    expect(named.filter((path) => !existsSync(path))).toEqual([]);
  });

  it('has the same entries for Rollup as for esbuild, and they are there', async () => {
    const document = await readFile(join(root, 'src/BROWSER.md'), 'utf8');
    const [esbuild, rollup] = [/^esbuild .*?^```/ms, /^rollup .*?^```/ms].map((commands) => {
      const entries = commands.exec(document)![0].matchAll(/(\S+)=(node_modules\/liif\/\S+\.js)/g);
      return [...entries].map(([, name, file]) => ({ name, file }));
    });
    expect(rollup).toHaveLength(2);
    expect(rollup).toEqual(esbuild);
    for (const { file } of rollup!) expect(existsSync(join(project, file!))).toBe(true);
  });

  it('has types that a strict program can use', async () => {
    await writeFile(
      join(project, 'program.ts'),
      `import { decode, type EncodeInputOptions, encode, isLiifError, type LiifImage, open, type Raster } from 'liif';
import { decodeImage } from 'liif/core';
import { createApp, type LiifApp } from 'liif/server';
const options: EncodeInputOptions = { quality: 70, onProgress: ({ done, total }) => console.log(done / total) };
export const bytes: Promise<Uint8Array> = encode('a.png', options);
export const raster: Promise<Raster> = decode(new URL('https://example.org/a.liif'), { width: 300 });
export const image: Promise<LiifImage> = open('a.liif', { signal: AbortSignal.timeout(1000) });
export const app: Promise<LiifApp> = createApp({ roots: ['.'] });
export { decodeImage, isLiifError };
// @ts-expect-error a quality is a number
encode('a.png', { quality: 'high' });
`,
    );
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const flags =
      '--noEmit --strict --module nodenext --target es2022 --lib es2023,dom --types node program.ts';
    const { stdout } = await inProject(process.execPath, tsc, ...flags.split(' ')).catch((error) => error);
    expect(stdout).toBe('');
  });
});

/** What `npm install FILE` does, without a registry. */
async function installInto(project: string, tarball: string): Promise<void> {
  const modules = join(project, 'node_modules');
  await mkdir(join(modules, '.bin'), { recursive: true });
  await run('tar', ['xzf', tarball, '-C', modules]);
  const installed = join(modules, 'liif');
  await run('mv', [join(modules, 'package'), installed]);
  const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    const link = join(modules, name);
    await mkdir(join(link, '..'), { recursive: true });
    await symlink(join(root, 'node_modules', name), link, 'dir');
  }
  const command = join(installed, manifest.bin.liif);
  await run('chmod', ['+x', command]);
  await symlink(command, join(modules, '.bin/liif'));
}
