import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { CELL, HOME, modelStamp, mosaic, writeWhole } from '../mosaic.ts';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const SIDE = 4096;

export interface BenchPictures {
  /** A directory with `mosaic.liif`. */
  readonly liif: string;
  /** `mosaic.tif`: the same picture as a pyramid of JPEG tiles of 256 pixels. */
  readonly tiff: string;
}

/** Makes a mosaic of 16 megapixels from the samples; once for each released model. */
export async function benchPictures(): Promise<BenchPictures> {
  const home = join(HOME, `${await modelStamp()}-mosaic`);
  const pictures = { liif: join(home, 'liif'), tiff: join(home, 'tiff') };
  await mkdir(pictures.liif, { recursive: true });
  await mkdir(pictures.tiff, { recursive: true });
  const png = join(home, 'mosaic.png');
  if (!existsSync(png))
    await writeWhole(png, (await mosaic(SIDE / CELL, SIDE / CELL)).png({ compressionLevel: 3 }));
  const tiff = join(pictures.tiff, 'mosaic.tif');
  if (!existsSync(tiff))
    await writeWhole(
      tiff,
      sharp(png).tiff({
        tile: true,
        pyramid: true,
        tileWidth: 256,
        tileHeight: 256,
        compression: 'jpeg',
        quality: 90,
      }),
    );
  const liif = join(pictures.liif, 'mosaic.liif');
  if (!existsSync(liif)) {
    console.error('encoding 16 megapixels; this is done once');
    execFileSync(process.execPath, ['--import', 'tsx', 'src/cli/liif.ts', 'encode', png, '-o', liif], {
      cwd: ROOT,
      stdio: 'inherit',
    });
  }
  return pictures;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

export interface Running {
  readonly url: string;
  readonly child: ChildProcess;
  /** The end of its output. */
  output(): string;
  stop(): Promise<void>;
}

/** Starts a program and waits until `url` answers. */
export async function startProgram(
  program: string,
  args: readonly string[],
  url: string,
  path: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Running> {
  const child = spawn(program, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part: Buffer) => {
      output = (output + part.toString()).slice(-20_000);
    });
  process.once('exit', () => child.kill('SIGKILL'));
  const running: Running = {
    url,
    child,
    output: () => output,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await new Promise((resolve) => child.once('exit', resolve));
    },
  };
  for (let i = 0; i < 300; i++) {
    if (child.exitCode !== null) throw new Error(`${program} has ended: ${output}`);
    const answer = await fetch(url + path).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) return running;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await running.stop();
  throw new Error(`${program} does not answer: ${output}`);
}

/** `liif serve` as a process of its own. */
export async function startLiif(
  roots: readonly string[],
  args: readonly string[],
  nodeArgs: readonly string[] = [],
): Promise<Running> {
  const port = await freePort();
  return startProgram(
    process.execPath,
    [
      ...nodeArgs,
      '--import',
      'tsx',
      'src/cli/liif.ts',
      'serve',
      ...roots,
      '--port',
      String(port),
      '--no-watch',
      ...args,
    ],
    `http://127.0.0.1:${port}`,
    '/health',
    { MALLOC_ARENA_MAX: '2' },
  );
}

export function installed(program: string): boolean {
  try {
    execFileSync('which', [program], { stdio: 'ignore' });
    return true;
  } catch {
    return existsSync(program);
  }
}

export async function writeConfig(directory: string, name: string, text: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}
