import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
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

export function startLiif(args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  return spawn(process.execPath, liifArguments(args), { cwd: root, ...options });
}

/** Runs the command line as a process of its own: as it is built, if that is up to date, else from its TypeScript sources. */
export function runLiif(args: readonly string[], stdin?: Uint8Array): Promise<Finished> {
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
