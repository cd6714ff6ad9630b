import { EngineError, isLiifError, messageOf } from '../errors.ts';
import type { Model } from '../network/model.ts';
import type { Engine } from './engine.ts';
import { withFallback } from './fallback.ts';
import { tileSeconds } from './tile-seconds.ts';
import { browserHost, startedHost } from './wasm/threads/browser-host.ts';
import type { FromWorker, ToWorker } from './worker/messages.ts';
import { webWorker } from './worker/web-worker.ts';

/** Which engine is opened in a page, and how. */
export interface BrowserEngineOptions {
  /** `auto` (default): WebGPU on a graphics card where that is faster, else WebAssembly. */
  readonly engine?: 'auto' | 'webgpu' | 'wasm';
  /**
   * Threads of the wasm engine. Default: one per processor, at most 8 in an isolated page and 4 elsewhere.
   */
  readonly threads?: number;
  /**
   * Whether to take a WebGPU adapter that computes on the processor. For tests: wasm is faster. Default
   * false.
   */
  readonly softwareAdapter?: boolean;
  /**
   * Called once if wasm stands in for WebGPU: because it was asked for and does not run, fails in use, or its
   * code does not load. Default: console.warn.
   */
  readonly onWarning?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** Workers at most where no memory is shared: each has weights of its own, about 20 MB. */
const MAX_SEPARATE_WORKERS = 4;

/**
 * Opens the fastest exact engine of this browser. Pages that are cross-origin isolated (COOP same-origin,
 * COEP require-corp) get wasm threads over one memory; other pages get workers with a memory each. Only code
 * that the page can use is fetched, while the weights are still loading. Rejects as `loading` does, and with
 * EngineError if no engine runs here.
 */
export async function openBrowserEngine(
  loading: Promise<Model>,
  options: BrowserEngineOptions = {},
): Promise<Engine> {
  const { engine = 'auto', softwareAdapter = false, onWarning = (text) => console.warn(text) } = options;
  const { gpu: api } = globalThis.navigator ?? {};
  const withoutGraphics = engine === 'wasm' || (engine === 'auto' && api === undefined);
  const opening = openWasm(loading, options);
  const graphics = withoutGraphics
    ? undefined
    : import('./webgpu/webgpu-engine.ts').then(({ openWebGpuEngine }) =>
        openWebGpuEngine(loading, {
          gpu: api,
          readAsset: fetchAsset,
          software: softwareAdapter,
          cpu: opening,
        }),
      );
  // Failures are handled where these promises are awaited.
  graphics?.catch(() => {});
  loading.catch(() => {});
  const cpu = await opening;
  return graphics ? withGraphics(() => graphics, cpu, engine === 'webgpu', onWarning) : cpu;
}

/**
 * The engine of a graphics card, with `cpu` to stand in, if it was asked for or is faster; else, or if it
 * does not open, `cpu`.
 */
export async function withGraphics(
  open: () => Promise<Engine>,
  cpu: Engine,
  asked: boolean,
  onWarning: (message: string) => void,
): Promise<Engine> {
  let gpu: Engine | undefined;
  try {
    gpu = await open();
    // Graphics integrated in a processor may be slower than its threads.
    if (asked || (await tileSeconds(gpu)) <= (await tileSeconds(cpu)))
      return withFallback(gpu, cpu, onWarning);
  } catch (error) {
    // That there is no card is common: no warning unless it was asked for.
    if (asked || !isLiifError(error, 'EngineError'))
      onWarning(`${messageOf(error)}; the ${cpu.name} engine stands in`);
  }
  await gpu?.close().catch(() => {});
  return cpu;
}

async function openWasm(loading: Promise<Model>, { threads, signal }: BrowserEngineOptions): Promise<Engine> {
  const { defaultThreads } = browserHost;
  if (defaultThreads > 0) {
    const host = startedHost(threads ?? defaultThreads);
    try {
      const { openWasmEngine } = await import('./wasm/wasm-engine.ts');
      return await openWasmEngine(await loading, {
        host,
        ...(threads !== undefined && { threads }),
        ...(signal && { signal }),
      });
    } catch (error) {
      // The page is isolated, but gets no shared memory of that size: each worker gets its own.
      if (!isLiifError(error, 'EngineError')) throw error;
    } finally {
      host.endUnused();
    }
  }
  const { openWorkerEngine } = await import('./worker/worker-engine.ts');
  return openWorkerEngine(loading, {
    name: 'wasm',
    startWorker,
    workers: threads ?? Math.min(MAX_SEPARATE_WORKERS, navigator.hardwareConcurrency || 1),
    ...(signal && { signal }),
  });
}

const startWorker = () =>
  webWorker<ToWorker, FromWorker>(
    () => new Worker(new URL('./worker/browser-worker.js', import.meta.url), { type: 'module' }),
  );

async function fetchAsset(url: URL): Promise<Uint8Array> {
  const response = await fetch(url).catch((cause) => {
    throw new EngineError(`${url}: ${messageOf(cause)}`, { cause });
  });
  if (!response.ok) throw new EngineError(`${url.pathname} answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
