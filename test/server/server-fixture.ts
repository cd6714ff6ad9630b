import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import sharp, { type Sharp } from 'sharp';
import { encodeImage } from '../../src/encode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { nodeHost } from '../../src/engine/wasm/threads/node-host.ts';
import { openWasmEngine } from '../../src/engine/wasm/wasm-engine.ts';
import type { Raster } from '../../src/image/raster.ts';
import { parseModel } from '../../src/network/load.ts';
import { type AppOptions, type RunningServer, serve } from '../../src/server/index.ts';
import { afterThisFile } from '../after-file.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

const model = parseModel(tinyModelBytes({ seed: 5 }));

/** A small exact engine; the server closes it, so every server gets its own. */
export function testEngine(): Promise<Engine> {
  return openWasmEngine(model, { host: nodeHost, threads: 0 });
}

/** An engine whose features take for ever, unless nobody wants them any more. */
export async function stuckEngine(): Promise<Engine> {
  const engine = await testEngine();
  const features: Engine['features'] = (...[, , , , signal]) =>
    new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
  return new Proxy(engine, {
    get: (target, name) => (name === 'features' ? features : Reflect.get(target, name)),
  });
}

/** Soft shapes with some noise: nothing repeats, so a pixel in the wrong place shows. */
export function picture(width: number, height: number, channels: Raster['channels'] = 3, seed = 1): Raster {
  const data = new Uint8Array(width * height * channels);
  const across = Float64Array.from({ length: width * channels }, (_, i) => {
    const [x, c] = [Math.floor(i / channels), i % channels];
    return 90 * Math.sin((x * (c + 1)) / 37);
  });
  let state = seed;
  for (let y = 0, i = 0; y < height; y++) {
    const down = Array.from({ length: channels }, (_, c) => Math.cos(y / (23 + c)));
    for (let x = 0, at = 0; x < width; x++) {
      for (let c = 0; c < channels; c++, i++, at++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        data[i] = 128 + across[at]! * down[c]! + (state >>> 28);
      }
    }
  }
  return { width, height, channels, data };
}

export async function encoded(raster: Raster): Promise<Uint8Array> {
  return encodeImage(await testEngine(), raster, { quality: 70, chunkSize: 8 });
}

export function imageOf(raster: Raster): Sharp {
  return sharp(raster.data, {
    raw: { width: raster.width, height: raster.height, channels: raster.channels },
  });
}

/** A directory of files that have been there for an hour, removed after the tests. */
export async function directoryOf(
  files: Readonly<Record<string, Uint8Array | string>> = {},
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'liif-server-'));
  const before = new Date(Date.now() - 3_600_000);
  afterThisFile(() => rm(directory, { recursive: true, force: true }));
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), bytes);
    await utimes(join(directory, name), before, before);
  }
  return directory;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  json(): ReturnType<typeof JSON.parse>;
}

/** Sends a path as it is, without the cleaning that fetch does. */
export function ask(
  url: string,
  path: string,
  options: {
    readonly method?: string;
    readonly headers?: Record<string, string>;
    readonly body?: Uint8Array;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        hostname,
        port,
        path,
        method: options.method ?? 'GET',
        headers: options.headers ?? {},
        agent: false,
        ...(options.signal && { signal: options.signal }),
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const body = Buffer.concat(parts);
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body,
            json: () => JSON.parse(body.toString()),
          });
        });
      },
    );
    sent.on('error', reject);
    sent.end(options.body);
  });
}

export interface TestServer extends RunningServer {
  get(path: string, options?: Parameters<typeof ask>[2]): Promise<Answer>;
  /** Lines logged so far. */
  readonly log: readonly Record<string, unknown>[];
}

/** A server on a free port with the small engine; stopped after the tests. */
export async function startServer(options: AppOptions): Promise<TestServer> {
  const log: Record<string, unknown>[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void log.push(JSON.parse(line)) });
  const running = await serve({
    port: 0,
    host: '127.0.0.1',
    stopMs: 1000,
    openEngine: async () => testEngine(),
    logger,
    ...options,
  });
  // Most are stopped already; what stopping one has to say is for the test that breaks it.
  afterThisFile(() => running.stop().catch(() => {}));
  return Object.assign(running, { get: (path: string, sent = {}) => ask(running.localUrl, path, sent), log });
}

/** Waits until `check` holds, at most for half a minute: other tests may hold the processor. */
export async function eventually(check: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await check())) {
    if (performance.now() > end) throw new Error('it did not come true within 30 s');
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

/** Pixels of an image file; gray ones as RGB. */
export async function pixelsOf(bytes: Buffer): Promise<Raster & { readonly data: Uint8Array }> {
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels as Raster['channels'], data };
}

/** Rows top .. top+height-1, columns left .. left+width-1. */
export function crop(raster: Raster, left: number, top: number, width: number, height: number): Uint8Array {
  const { channels } = raster;
  const out = new Uint8Array(width * height * channels);
  for (let row = 0; row < height; row++) {
    const start = ((top + row) * raster.width + left) * channels;
    out.set(raster.data.subarray(start, start + width * channels), row * width * channels);
  }
  return out;
}
