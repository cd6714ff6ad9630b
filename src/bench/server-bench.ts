import { type ChildProcess, spawn } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Pool } from 'undici';
import { encodeImage } from '../encode.ts';
import type { Engine, EngineName } from '../engine/engine.ts';
import { EngineError } from '../errors.ts';
import { onAbort } from '../on-abort.ts';
import { syntheticPicture } from './synthetic-picture.ts';

/** `liif serve` as a process of its own, asked over loopback for JPEG tiles whose features are warm; no tile is kept. */
export interface ServerFigures {
  /** Side of the picture in pixels. */
  readonly side: number;
  readonly connections: number;
  readonly runs: readonly {
    /** Output pixels per picture pixel. */
    readonly scale: 1 | 4;
    readonly tiles: number;
    readonly failed: number;
    readonly medianMs: number;
  }[];
}

export interface ServerBenchOptions {
  readonly engine: EngineName;
  readonly threads: number | undefined;
  /** The file of the encoder's model, where that is not the released one. */
  readonly model: string | undefined;
  readonly side: number;
  readonly connections: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

const TILE = 256;
const START_MS = 60_000;

/** `encoder` makes the picture; the server opens an engine of its own. Rejects with EngineError when the server does not start. */
export async function benchServer(encoder: Engine, options: ServerBenchOptions): Promise<ServerFigures> {
  const { side, connections, seconds, signal } = options;
  // Every connection listens to it.
  setMaxListeners(0, signal);
  const folder = await mkdtemp(join(tmpdir(), 'liif-bench-'));
  let server: ChildProcess | undefined;
  try {
    await writeFile(
      join(folder, 'picture.liif'),
      await encodeImage(encoder, syntheticPicture(side, side), { signal }),
    );
    const started = await startServer(folder, options);
    server = started.child;
    const pool = new Pool(started.url, { connections });
    try {
      const nativeZoom = Math.log2(side / TILE);
      const runs = [];
      for (const scale of [1, 4] as const) {
        const paths = tilePaths(side, nativeZoom, scale);
        for (let i = 0; i < paths.length; i += connections)
          await Promise.all(paths.slice(i, i + connections).map((path) => get(pool, path, signal)));
        runs.push({ scale, ...(await load(pool, paths, connections, seconds, signal)) });
      }
      return { side, connections, runs };
    } finally {
      await pool.destroy();
    }
  } finally {
    if (server) await ended(server);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Tells a process to end, and waits until it has; one that has ended by itself, or by a signal, is done with. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** All tiles of a zoom, at most 1024 of them, in an order that does not follow the rows. */
function tilePaths(side: number, nativeZoom: number, scale: 1 | 4): string[] {
  const z = nativeZoom + Math.log2(scale);
  const across = (side / TILE) * scale;
  const count = across * across;
  // Odd, so prime to the count, a power of two.
  const stride = Math.floor(count * 0.618) | 1;
  return Array.from({ length: Math.min(count, 1024) }, (_, i) => {
    const at = (i * stride) % count;
    return `/picture/${z}/${at % across}/${Math.floor(at / across)}.jpg`;
  });
}

async function startServer(
  folder: string,
  { engine, threads, model, signal }: ServerBenchOptions,
): Promise<{ child: ChildProcess; url: string }> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const program = fileURLToPath(new URL(`../cli/liif.${extension}`, import.meta.url));
  const settings = [
    '--engine',
    engine,
    '--port',
    '0',
    '--no-watch',
    '--tile-cache-mb',
    '0',
    '--log-level',
    'error',
  ];
  const child = spawn(
    process.execPath,
    [
      ...process.execArgv,
      program,
      'serve',
      folder,
      ...settings,
      ...['--feature-cache-mb', '1024', '--max-wait-ms', '60000', '--max-turn-ms', '60000'],
      ...(threads === undefined ? [] : ['--threads', String(threads)]),
      ...(model === undefined ? [] : ['--model', model]),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let errors = '';
  child.stderr!.on('data', (part) => {
    errors = `${errors}${part}`.slice(-2000);
  });
  const either = AbortSignal.any([signal, AbortSignal.timeout(START_MS)]);
  try {
    const url = await new Promise<string>((resolve, reject) => {
      createInterface(child.stdout!).once('line', resolve);
      child.once('error', reject);
      child.once('exit', () => reject(new EngineError(`the server has ended: ${errors.trim()}`)));
      onAbort(either, () => reject(either.reason));
    });
    return { child, url: new URL(url).origin };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

async function get(pool: Pool, path: string, signal: AbortSignal): Promise<boolean> {
  const { statusCode, body } = await pool.request({ path, method: 'GET', signal });
  await body.arrayBuffer();
  return statusCode === 200;
}

async function load(
  pool: Pool,
  paths: readonly string[],
  connections: number,
  seconds: number,
  signal: AbortSignal,
): Promise<{ tiles: number; failed: number; medianMs: number }> {
  const times: number[] = [];
  let failed = 0;
  let next = 0;
  const start = performance.now();
  const end = start + seconds * 1000;
  const lane = async () => {
    while (performance.now() < end) {
      const begin = performance.now();
      if (await get(pool, paths[next++ % paths.length]!, signal)) times.push(performance.now() - begin);
      else failed++;
    }
  };
  await Promise.all(Array.from({ length: connections }, lane));
  const elapsed = (performance.now() - start) / 1000;
  times.sort((a, b) => a - b);
  return { tiles: times.length / elapsed, failed, medianMs: times[times.length >> 1] ?? Number.NaN };
}
