import { execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
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

/** The module as a new process has it, by a clock that stands still; signals come when they are sent. */
async function newProcess() {
  vi.resetModules();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  const listeners = new Map<unknown, () => void>();
  const ended: unknown[] = [];
  const over = new Error('the process has ended');
  vi.spyOn(process, 'on').mockImplementation((name, listener) => {
    listeners.set(name, listener as () => void);
    return process;
  });
  vi.spyOn(process, 'removeAllListeners').mockImplementation((name) => {
    listeners.delete(name);
    return process;
  });
  vi.spyOn(process, 'kill').mockImplementation((_, signal) => {
    ended.push(listeners.has(signal) ? `${signal} that is caught` : signal);
    return true;
  });
  vi.spyOn(process, 'exit').mockImplementation((code) => {
    ended.push(code);
    listeners.get('exit')?.();
    throw over;
  });
  onTestFinished(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
  const untilOver = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      if (error !== over) throw error;
    }
  };
  const { interruption, waitAtMost } = await import('../../src/cli/interruption.ts');
  return {
    signal: interruption(),
    again: interruption,
    waitAtMost,
    ended,
    send: (name: string) => untilOver(() => listeners.get(name)!()),
    wait: (ms: number) => untilOver(() => vi.advanceTimersByTime(ms)),
  };
}

it('a request to stop is heard once, by all, and its echo within half a second is no second one', async () => {
  const { signal, again, send, wait, ended } = await newProcess();
  expect(again()).toBe(signal);
  send('SIGINT');
  expect(signal.reason).toMatchObject({ message: 'interrupted (SIGINT)', exitCode: 130 });
  wait(500);
  send('SIGINT');
  expect(ended).toEqual([]);
  wait(100);
  send('SIGTERM');
  expect(ended).toEqual([143, 'SIGTERM']);
});

it('the process ends by the signal when the work takes longer than it may, which is up to the command', async () => {
  const usual = await newProcess();
  usual.send('SIGHUP');
  usual.wait(1999);
  expect(usual.ended).toEqual([]);
  usual.wait(1);
  expect(usual.ended).toEqual([129, 'SIGHUP']);
  const impatient = await newProcess();
  impatient.waitAtMost(0);
  impatient.send('SIGTERM');
  expect(impatient.ended).toEqual([143, 'SIGTERM']);
  const patient = await newProcess();
  patient.waitAtMost(Number.POSITIVE_INFINITY);
  patient.send('SIGTERM');
  expect(patient.signal.aborted).toBe(true);
  patient.wait(1e9);
  expect(patient.ended).toEqual([]);
});
