import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import express from 'express';
import { type Browser, chromium } from 'playwright-core';
import type { Rollup } from 'vite';
import type { LiifImage } from '../../src/decode.ts';
import { compactShaders } from '../../src/engine/webgpu/shaders/compact.ts';
import { tileQuery } from '../../src/pixels/tile.ts';

/** The first is Chromium without windows, in which a page takes two fifths of the processor time. */
const EXECUTABLE = [
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
].find(existsSync);

/** Why tests in a browser are left out here, if they are. */
export const missing = EXECUTABLE ? undefined : 'chromium is not installed';

/** Chromium in which WebGPU computes on the processor. */
export function launchChromium(): Promise<Browser> {
  return plainChromium('--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader');
}

/**
 * Features of Chromium that are switched off. Each window, which is the first page of a context, loads two pages
 * for popups of its address bar that nobody sees, which takes longer than most pages of tests. Only the last
 * list counts, so those that Playwright switches off are repeated.
 */
const DISABLED_FEATURES = [
  'WebUIOmniboxPopup',
  'WebUIOmniboxAimPopup',
  'WebUIOmniboxFullPopup',
  'AvoidUnnecessaryBeforeUnloadCheckSync',
  'DestroyProfileOnBrowserClose',
  'HttpsUpgrades',
  'HttpsFirstBalancedModeAutoEnable',
  'LensOverlay',
  'MediaRouter',
  'PaintHolding',
  'ThirdPartyStoragePartitioning',
  'AvoidCorsURLLoaderRestartOnRedirect',
  'OptimizationHints',
  'NetworkTimeServiceQuerying',
  'AimEnabled',
  'PreconnectToSearch',
];

/** Chromium as it is. */
export function plainChromium(...args: string[]): Promise<Browser> {
  const disabled = `--disable-features=${DISABLED_FEATURES.join()}`;
  return chromium.launch({ executablePath: EXECUTABLE!, args: ['--no-sandbox', disabled, ...args] });
}

/**
 * A page of this folder, by default that with `liif/browser`, as a bundler makes it: file names and contents.
 */
export function bundledPage(folder = 'page'): Promise<Map<string, Uint8Array>> {
  return bundled(folderOf(`test/browser/${folder}`));
}

/** A page of somebody else with a canvas and this code, whose variables then stand in its window. */
export async function bundledCode(code: string, names: readonly string[]): Promise<Map<string, Uint8Array>> {
  const folder = await mkdtemp(join(tmpdir(), 'liif-page-'));
  try {
    await writeFile(
      join(folder, 'index.html'),
      '<!doctype html><canvas width="256" height="256"></canvas><script type="module" src="./page.ts"></script>',
    );
    const canvas = "const canvas = document.querySelector('canvas')!;";
    await writeFile(
      join(folder, 'page.ts'),
      `${canvas}\n${code}\nObject.assign(window, { ${names.join(', ')} });`,
    );
    return await bundled(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function bundled(folder: string): Promise<Map<string, Uint8Array>> {
  const { build } = await import('vite');
  const output = (await build({
    root: folder,
    configFile: false,
    logLevel: 'error',
    plugins: [compactShaders],
    resolve: { alias: { 'liif/browser': folderOf('src/browser.ts') } },
    build: { write: false, assetsInlineLimit: 0, target: 'es2022', modulePreload: { polyfill: false } },
    worker: { format: 'es' },
  })) as Rollup.RollupOutput;
  return new Map(
    output.output.map((file) => [
      file.fileName,
      Buffer.from(file.type === 'chunk' ? file.code : file.source),
    ]),
  );
}

/** Headers of pages whose threads may share memory. */
export const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** A static host, nothing else: files under their names, with ranges. */
export interface StaticHost {
  readonly url: string;
  /** Bytes sent of each file. */
  readonly sent: Map<string, number>;
  close(): void;
}

export async function startStaticHost(
  files: ReadonlyMap<string, Uint8Array>,
  folders: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<StaticHost> {
  const app = express();
  const sent = new Map<string, number>();
  app.use((request, response, next) => {
    response.set(headers);
    response.on('finish', () => {
      const name = request.originalUrl.slice(1);
      sent.set(name, (sent.get(name) ?? 0) + Number(response.get('content-length') ?? 0));
    });
    next();
  });
  app.get('/', (_request, response) => {
    response.type('html').send(Buffer.from(files.get('index.html')!));
  });
  for (const [path, folder] of Object.entries(folders)) app.use(path, express.static(folder));
  app.use((request, response, next) => {
    const file = files.get(request.path.slice(1));
    if (file) response.type(request.path.split('.').at(-1)!).send(Buffer.from(file));
    else next();
  });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    sent,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Tile z/x/y of a picture, RGBA, transparent beyond it, as an engine of this process has it. */
export async function tilePixels(
  image: LiifImage,
  z: number,
  x: bigint,
  y: bigint,
  size: number,
): Promise<Uint8Array> {
  const query = tileQuery(image, z, x, y, size);
  const { width, height, channels, data } = await image.renderRows(query, 0, query.height, {
    size: 512,
    fitted: false,
  });
  const tile = new Uint8Array(size * size * 4);
  for (let i = 0; i < width * height; i++) {
    const at = (Math.floor(i / width) * size + (i % width)) * 4;
    const pixel = data.subarray(i * channels, (i + 1) * channels);
    const color = channels < 3 ? [pixel[0]!, pixel[0]!, pixel[0]!] : [...pixel.subarray(0, 3)];
    tile.set([...color, channels % 2 === 0 ? pixel[channels - 1]! : 255], at);
  }
  return tile;
}

export function sha256(data: ArrayBufferView): string {
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');
}

export const folderOf = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

export const readBytes = (path: string) => readFile(folderOf(path));
