import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

const bundles = new Map<string, string>();

/**
 * Starts a thread that runs a module of this package. `module`: its URL without the ending. Node 20 cannot
 * start a thread from TypeScript: in a checkout the module and its imports are bundled into one script first,
 * which is several times as fast as a TypeScript loader in every thread.
 */
export function startWorker(module: URL, options: WorkerOptions = {}): Worker {
  // None of the process's own flags: `--input-type` would keep the thread from starting.
  if (!import.meta.url.endsWith('.ts'))
    return new Worker(new URL(`${module.href}.js`), { ...options, execArgv: [] });
  let code = bundles.get(module.href);
  if (code === undefined) {
    code = bundle(fileURLToPath(`${module.href}.ts`));
    bundles.set(module.href, code);
  }
  // No loader of the process: the script needs none.
  return new Worker(code, { ...options, eval: true, execArgv: [] });
}

/** Calls back when a thread has ended: with the error that ended it, or one that has its exit code. */
export function onWorkerEnd(worker: Worker, callback: (reason: unknown) => void): void {
  let reason: unknown;
  worker.on('error', (error) => {
    reason = error;
  });
  worker.on('exit', (code) => callback(reason ?? new Error(`it exited with code ${code}`)));
}

function bundle(path: string): string {
  const { buildSync } = createRequire(import.meta.url)('esbuild') as typeof import('esbuild');
  const { outputFiles } = buildSync({
    entryPoints: [path],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    sourcemap: 'inline',
    logLevel: 'error',
    // Files beside the module are found; packages are those of the process.
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(path).href) },
    packages: 'external',
  });
  return outputFiles[0]!.text;
}
