import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { root } from './built.ts';

const run = promisify(execFile);

describe.skipIf(!existsSync(join(root, '.git')))('a checkout', () => {
  it('has the same line ends on every system, and none in binary files', async () => {
    const { stdout } = await run('git', ['ls-files', '--eol'], { cwd: root, maxBuffer: 2 ** 24 });
    const files = stdout.trim().split('\n');
    expect(files.length).toBeGreaterThan(1000);
    const wrong = files.filter(
      (line) =>
        !/^i\/(lf|none|-text) .*attr\/text=auto eol=lf/.test(line) && !/ attr\/-text .*\.liif$/.test(line),
    );
    expect(wrong).toEqual([]);
  });
});
