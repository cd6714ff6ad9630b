import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LogOutput } from '../../src/server/log-output.ts';
import { directoryOf, eventually } from './server-fixture.ts';

const LINES = 40_000;

/** A pipe that somebody has open, and nobody reads. */
async function pipe(): Promise<string> {
  const path = join(await directoryOf(), 'fifo');
  expect(spawnSync('mkfifo', [path]).status).toBe(0);
  return path;
}

describe.skipIf(process.platform !== 'linux')('lines of the log', () => {
  it('wait while nobody reads them, and are counted where they are too many', async () => {
    const path = await pipe();
    const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    const output = new LogOutput({ fd, prompt: true });
    for (let number = 0; number < LINES; number++)
      output.write(`${JSON.stringify({ number, filling: 'x'.repeat(50) })}\n`);
    let text = '';
    const part = Buffer.alloc(2 ** 16);
    await eventually(() => {
      try {
        text += part.toString('latin1', 0, readSync(reader, part));
      } catch {
        // Nothing is there just now.
      }
      return text.includes('lines of the log were lost');
    });
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const kept = lines.length - 1;
    expect(kept).toBeGreaterThan(10_000);
    expect(lines.slice(0, kept).map(({ number }) => number)).toEqual(
      Array.from({ length: kept }, (_, i) => i),
    );
    expect(lines[kept]).toMatchObject({ level: 40, lost: LINES - kept });
    closeSync(reader);
    closeSync(fd);
  });

  it('that nobody reads keep neither the event loop nor the end of the process waiting', async () => {
    const app = new URL('../../src/server/app.ts', import.meta.url);
    const script = `
      import { checkOptions } from '${app.href}';
      const { log } = checkOptions({ roots: [] });
      for (let number = 0; number < ${LINES}; number++) log.info({ number }, 'a line');
      process.exit(3);
    `;
    const handle = await open(await pipe(), 'r+');
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'inherit', handle.fd],
      timeout: 100_000,
      killSignal: 'SIGKILL',
    });
    expect(await once(child, 'exit')).toEqual([3, null]);
    await handle.close();
  });

  it('are all there at the end of the process', async () => {
    const app = new URL('../../src/server/app.ts', import.meta.url);
    const script = `
      import { checkOptions } from '${app.href}';
      const { log } = checkOptions({ roots: [] });
      for (let number = 0; number < 1000; number++) log.info({ number }, 'a line');
      process.exit();
    `;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    let text = '';
    child.stderr.on('data', (part: Buffer) => {
      text += part;
    });
    await once(child, 'close');
    const numbers = text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { number: number }).number);
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });
});
