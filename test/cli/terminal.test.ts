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

/**
 * What a file may be called: it names the window, is red, turns round, and has a control of one character.
 */
const NAME = 'a\u001b]0;owned\u0007\u001b[31m\u202efdp.\u009b1m\u007f.liif';
const OBEYED = ['\u0007', '\u001b]', '\u001b[31m', '\u007f', '\u009b', '\u202e'];

function written(to: 'stdout' | 'stderr'): () => string {
  let text = '';
  vi.spyOn(process[to], 'write').mockImplementation((part) => {
    text += part;
    return true;
  });
  return () => text;
}

it('lets nothing that terminals obey through a bar, whose titles are names of files', async () => {
  process.stderr.isTTY = true;
  const shown = written('stderr');
  await new Terminal({}).progress(NAME, async (onProgress) => {
    await new Promise((resolve) => setTimeout(resolve, 150));
    onProgress({ done: 1, total: 2, title: `next ${NAME}` });
    await expect.poll(shown).toContain('next a');
  });
  expect(shown()).toContain('a?]0;owned');
  expect(OBEYED.filter((control) => shown().includes(control))).toEqual([]);
});

it('lets nothing that terminals obey through texts, and through JSON only escaped', () => {
  const shown = written('stdout');
  new Terminal({}).result({}, NAME);
  new Terminal({ json: true }).result({ input: NAME }, '');
  expect(OBEYED.filter((control) => shown().includes(control))).toEqual([]);
  const [text, json] = shown().trimEnd().split('\n');
  expect(text).toBe('a?]0;owned??[31m?fdp.?1m?.liif');
  expect(JSON.parse(json!)).toEqual({ input: NAME });
});

it('lets nothing that terminals obey through stacks', () => {
  const shown = written('stderr');
  new Terminal({ debug: true }).error(new Error(`no ${NAME}`, { cause: new Error(NAME) }));
  expect(shown()).toContain('cause: Error: a?]0;owned');
  expect(OBEYED.filter((control) => shown().includes(control))).toEqual([]);
});
