import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const DECODER = fileURLToPath(new URL('../../format-spec/reference/decoder', import.meta.url));

/**
 * A Python 3.11 with numpy, or undefined. The system's Python may have numpy where an earlier one on the path
 * has not.
 */
function findPython(): string | undefined {
  return ['python3', '/usr/bin/python3'].find((python) => {
    try {
      execFileSync(python, ['-c', 'import sys, numpy; assert sys.version_info >= (3, 11)'], {
        stdio: 'ignore',
      });
      return true;
    } catch {
      return false;
    }
  });
}

export const python = findPython();

/** Runs the Python decoder. Resolves to its exit code and what it prints, also if it ends with an error. */
export async function runPythonDecoder(...args: string[]): Promise<{ code: number; stdout: string }> {
  const options = { maxBuffer: 2 ** 26 };
  return promisify(execFile)(python!, [DECODER, ...args], options).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      stdout: error.stdout + error.stderr,
    }),
  );
}
