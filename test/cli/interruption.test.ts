import { execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { finished, startLiif } from './run-liif.ts';
import { useWorkbench } from './workbench.ts';

const bench = useWorkbench();

it.skipIf(process.platform === 'win32')(
  'a second Ctrl-C ends a command at once that waits for a thread which does not come back',
  async () => {
    // A pipe that nobody writes to keeps one, and so does an SVG that computes without end.
    const pipe = join(bench.folder, 'pipe.svg');
    execFileSync('mkfifo', [pipe]);
    const child = startLiif(['encode', pipe, '-o', join(bench.folder, 'out.liif')]);
    const result = finished(child);
    let writer: FileHandle | undefined;
    try {
      while (writer === undefined) {
        expect(child.exitCode, 'it ended before it could be stopped').toBeNull();
        // Refused as long as nobody reads.
        writer = await open(pipe, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      child.kill('SIGINT');
      await new Promise((resolve) => setTimeout(resolve, 700));
      child.kill('SIGINT');
      expect((await result).code).toBeNull();
      expect(child.signalCode).toBe('SIGINT');
      expect(await readdir(bench.folder)).toEqual(['pipe.svg']);
    } finally {
      await writer?.close();
      child.kill('SIGKILL');
    }
  },
);
