import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { ended } from '../../src/bench/server-bench.ts';

it('waits for the end of a server that runs, and for none that ended before, killed or not', async () => {
  const waiting = () => spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)']);
  const running = waiting();
  await once(running, 'spawn');
  await ended(running);
  expect(running.signalCode).toBe('SIGTERM');

  const killed = waiting();
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  await ended(killed);

  const done = spawn(process.execPath, ['-e', '']);
  await once(done, 'exit');
  await ended(done);
});
