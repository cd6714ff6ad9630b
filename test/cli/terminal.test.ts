import { afterEach, expect, it, vi } from 'vitest';
import { Terminal } from '../../src/cli/terminal.ts';

const { isTTY } = process.stderr;
afterEach(() => {
  process.stderr.isTTY = isTTY;
  vi.restoreAllMocks();
});

it('gives the cursor and the wrapping of lines back when the process exits with a bar on the screen', async () => {
  process.stderr.isTTY = true;
  let shown = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    shown += text;
    return true;
  });
  const begun = process.listeners('exit');
  void new Terminal({}).progress('Working', () => new Promise(() => {}));
  await expect.poll(() => shown).toContain('\u001b[?25l');
  for (const leave of process.listeners('exit')) if (!begun.includes(leave)) leave.call(process, 130);
  expect(shown).toContain('\u001b[?7h');
  expect(shown).toContain('\u001b[?25h');
});
