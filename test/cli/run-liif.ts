import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { Console } from 'node:console';
import { Readable, Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { isBuilt, root } from '../built.ts';

export interface Finished {
  /** Null when a signal ended the process. */
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** The sources need a compiler in every process, and take a second longer to start. */
const program = isBuilt(['src']) ? ['dist/cli/liif.js'] : ['--import', 'tsx', 'src/cli/liif.ts'];

/** For Node, in the root of the repository. */
export function liifArguments(args: readonly string[]): string[] {
  return [...program, ...args];
}

/**
 * Starts the command line as a process of its own: as it is built, if that is up to date, else from its
 * TypeScript sources. What a test asks of signals, of streams that are closed or full, or whether a command
 * ends by itself needs this; `runLiif` is enough for all else, and takes less time.
 */
export function startLiif(args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  return spawn(process.execPath, liifArguments(args), { cwd: root, ...options });
}

/** Runs the command line as a process of its own, to its end. */
export function runProcess(args: readonly string[], stdin?: Uint8Array): Promise<Finished> {
  return finished(startLiif(args), stdin);
}

export function finished(child: ChildProcess, stdin?: Uint8Array): Promise<Finished> {
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout!.on('data', (part) => stdout.push(part));
  child.stderr!.on('data', (part) => {
    stderr += part;
  });
  child.stdin!.on('error', () => {}); // it may end before it has read everything
  child.stdin!.end(stdin);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout: Buffer.concat(stdout), stderr }));
  });
}

let runs = 0;
let last: Promise<unknown> = Promise.resolve();

/**
 * Runs the command line in this process, one run after the other: its streams, arguments, environment and
 * exit code are replaced meanwhile.
 */
export function runLiif(
  args: readonly string[],
  stdin: Uint8Array = new Uint8Array(),
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  const run = last.then(() => runHere(args, stdin, env));
  last = run.catch(() => {});
  return run;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const EVENTS = ['warning', ...SIGNALS] as const;

async function runHere(
  args: readonly string[],
  stdin: Uint8Array,
  env: Readonly<Record<string, string>>,
): Promise<Finished> {
  const [stdout, stderr] = [new Collected(), new Collected()];
  const { argv, exitCode } = process;
  const folder = process.cwd();
  const replaced = [
    replace(process, 'stdin', Readable.from(stdin.length > 0 ? [Buffer.from(stdin)] : [])),
    replace(process, 'stdout', stdout),
    replace(process, 'stderr', stderr),
    replace(process, 'env', { ...process.env, ...env }),
    replace(globalThis, 'console', new Console(stdout, stderr)),
  ];
  const listeners = EVENTS.map((event) => process.listeners(event as 'warning'));
  process.argv = [argv[0]!, 'liif', ...args];
  process.chdir(root);
  try {
    // The program runs when it is imported; with another query it is another module, whose imports are the
    // same.
    await import(`${new URL('../../src/cli/liif.ts', import.meta.url)}?run=${++runs}`);
    // Warnings are told at the next turn.
    await setImmediate();
    return { code: Number(process.exitCode), stdout: stdout.bytes(), stderr: stderr.bytes().toString() };
  } finally {
    process.chdir(folder);
    process.argv = argv;
    process.exitCode = exitCode;
    for (const [i, event] of EVENTS.entries()) {
      process.removeAllListeners(event);
      for (const listener of listeners[i]!) process.on(event as 'warning', listener);
    }
    for (const undo of replaced) undo();
  }
}

/** What a stream has taken. */
class Collected extends Writable {
  readonly #parts: Buffer[] = [];
  override _write(part: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#parts.push(part);
    done();
  }
  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Gives the property another value until the returned function is called. */
function replace(object: object, name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(object, name)!;
  Object.defineProperty(object, name, { value, configurable: true });
  return () => Object.defineProperty(object, name, before);
}
