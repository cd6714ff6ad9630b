import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { root } from '../built.ts';

/**
 * Starts a script of TypeScript in a process of its own. `output`: all that it prints; rejects where it
 * fails. Its input stays open until `end`.
 */
export function child(
  script: URL,
  ...args: readonly string[]
): { readonly output: Promise<string>; end(): void } {
  const started = spawn(process.execPath, ['--import', 'tsx', fileURLToPath(script), ...args], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  process.once('exit', () => started.kill('SIGKILL'));
  let text = '';
  started.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  return {
    output: new Promise((resolve, reject) => {
      started.once('error', reject);
      started.once('close', (code) => {
        if (code === 0) resolve(text);
        else reject(new Error(`${script.pathname} ended with ${code}`));
      });
    }),
    end: () => started.stdin.end(),
  };
}
