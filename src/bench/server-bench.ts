import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { encodeImage } from '../encode.ts';
import type { Engine, EngineName } from '../engine/engine.ts';
import { EngineError } from '../errors.ts';
import { onAbort } from '../on-abort.ts';
import { load } from './http-load.ts';
import { syntheticPicture } from './synthetic-picture.ts';

/**
 * Speed of `liif serve` as a process of its own, over loopback: JPEG tiles from warm features, none of them
 * cached.
 */
export interface ServerFigures {
  /** Side of the picture in pixels. */
  readonly side: number;
  readonly connections: number;
  readonly runs: readonly {
    /** Output pixels per picture pixel. */
    readonly scale: 1 | 4;
    /** Tiles per second. */
    readonly tiles: number;
    /** Requests that were refused or failed. */
    readonly failed: number;
    /** Of a tile, from the request to the end of the answer. */
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

/**
 * Encodes a picture with `encoder` and measures a server that opens an engine of its own. Rejects with
 * EngineError when the server does not start.
 */
export async function benchServer(encoder: Engine, options: ServerBenchOptions): Promise<ServerFigures> {
  const { side, connections, seconds, signal } = options;
  const folder = await mkdtemp(join(tmpdir(), 'liif-bench-'));
  let server: ChildProcess | undefined;
  try {
    await writeFile(
      join(folder, 'picture.liif'),
      await encodeImage(encoder, syntheticPicture(side, side), { signal }),
    );
    const started = await startServer(folder, options);
    server = started.child;
    const runs = [];
    for (const scale of [1, 4] as const) {
      const paths = tilePaths(side, scale);
      const once = paths.values();
      const warmUp = () => once.next().value;
      await load(started.url, warmUp, connections, Number.POSITIVE_INFINITY, signal);
      let next = 0;
      const again = () => paths[next++ % paths.length];
      const { rate, p50, failed } = await load(started.url, again, connections, seconds, signal);
      if (rate === 0) throw new EngineError('the server answered no request');
      runs.push({ scale, tiles: rate, failed, medianMs: p50 });
    }
    return { side, connections, runs };
  } finally {
    if (server) await ended(server);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Asks a process to end, and waits for its end. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** The tiles of a zoom in an order that does not follow the rows, at most 1024. */
function tilePaths(side: number, scale: 1 | 4): string[] {
  const across = (side / TILE) * scale;
  const z = Math.log2(across);
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
