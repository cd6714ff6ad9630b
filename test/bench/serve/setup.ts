import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const SIDE = 4096;

/** Pictures are kept here between runs. */
const HOME = join(tmpdir(), 'liif-bench');

export interface BenchPictures {
  /** A directory with `mosaic.liif`. */
  readonly liif: string;
  /** `mosaic.tif`: the same picture as a pyramid of JPEG tiles of 256 pixels. */
  readonly tiff: string;
}

/** Makes a mosaic of 16 megapixels from the samples, turned and mirrored so that no tile repeats; once for each released model. */
export async function benchPictures(): Promise<BenchPictures> {
  const model = await readFile(join(ROOT, 'src/model/liif-1.safetensors'));
  const stamp = createHash('sha256').update(model).digest('hex').slice(0, 12);
  const home = join(HOME, `${stamp}-rgb`);
  const pictures = { liif: join(home, 'liif'), tiff: join(home, 'tiff') };
  await mkdir(pictures.liif, { recursive: true });
  await mkdir(pictures.tiff, { recursive: true });
  const png = join(home, 'mosaic.png');
  if (!existsSync(png)) await writeAtomically(png, (path) => mosaic(path));
  const tiff = join(pictures.tiff, 'mosaic.tif');
  if (!existsSync(tiff))
    await writeAtomically(tiff, async (path) => {
      await sharp(png)
        .tiff({
          tile: true,
          pyramid: true,
          tileWidth: 256,
          tileHeight: 256,
          compression: 'jpeg',
          quality: 90,
        })
        .toFile(path);
    });
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

async function writeAtomically(path: string, write: (path: string) => Promise<void>): Promise<void> {
  const written = path.replace(/(\.\w+)$/, '.writing$1');
  await write(written);
  await rename(written, path);
}

async function mosaic(path: string): Promise<void> {
  const folder = join(ROOT, 'samples/originals');
  const names = readdirSync(folder)
    .filter((name) => /\.(jpe?g|png)$/.test(name))
    .sort();
  const cell = 512;
  const parts = [];
  for (let i = 0; i < (SIDE / cell) ** 2; i++) {
    const source = sharp(join(folder, names[i % names.length]!))
      .removeAlpha()
      .toColorspace('srgb');
    const turned = source
      .rotate((Math.floor(i / names.length) % 4) * 90)
      .flop(Math.floor(i / names.length / 4) % 2 === 1)
      .modulate({ hue: (i * 37) % 360 });
    const input = await turned.resize(cell, cell, { fit: 'cover' }).png().toBuffer();
    parts.push({ input, left: (i % (SIDE / cell)) * cell, top: Math.floor(i / (SIDE / cell)) * cell });
  }
  await sharp({ create: { width: SIDE, height: SIDE, channels: 3, background: 'gray' } })
    .composite(parts)
    .removeAlpha() // compositing adds it
    .png({ compressionLevel: 3 })
    .toFile(path);
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
