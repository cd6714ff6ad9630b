import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { VERSION } from '../../src/version.ts';
import { root } from '../built.ts';
import { finished, runLiif, startLiif } from './run-liif.ts';
import { expectFailure } from './workbench.ts';

/** A script after which Node says that it has that version. */
const pretending = (node: string) =>
  encodeURIComponent(
    `Object.defineProperty(process,'versions',{value:{...process.versions,node:'${node}'}})`,
  );

describe('liif', () => {
  it('prints its version', async () => {
    const { code, stdout } = await runLiif(['--version']);
    expect([code, stdout.toString()]).toEqual([0, `${VERSION}\n`]);
  });

  it('says in one line that this Node is too old', async () => {
    const { engines } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    const [, major, minor] = /^>=(\d+)\.(\d+)$/.exec(engines.node)!;
    const older = `${major}.${Number(minor) - 1}.0`;
    const env = { ...process.env, NODE_OPTIONS: `--import=data:text/javascript,${pretending(older)}` };
    const child = startLiif(['encode', 'x.png'], { env });
    const { code, stderr } = await finished(child);
    expect(stderr).toBe(`liif: Node ${major}.${minor} or later is needed; this is ${older}\n`);
    expect(code).toBe(7);
  });

  it('says in one line that a library cannot be loaded, where that is needed', async () => {
    const env = {
      ...process.env,
      NODE_OPTIONS: `--import=${new URL('../fixtures/without-sharp.mjs', import.meta.url)}`,
    };
    const { code, stderr } = await finished(startLiif(['encode', 'x.png'], { env }));
    expect(stderr).toBe('liif: Not installed as it should be: no library of sharp: - install it\n');
    expect(code).toBe(7);
    expect((await finished(startLiif(['--help'], { env }))).code).toBe(0);
  });

  it('lists commands and exit codes in its help', async () => {
    const { code, stdout } = await runLiif(['--help']);
    expect(code).toBe(0);
    for (const text of ['encode', 'decode', 'info', 'verify', 'compare', 'Exit codes:', '130'])
      expect(stdout.toString()).toContain(text);
  });

  it.each([
    'encode',
    'decode',
    'info',
    'verify',
    'compare',
    'serve',
    'viewer',
    'tune',
    'engines',
    'bench',
    '',
  ])('prints the help of "%s" in lines of at most 80 columns, with one style of defaults', async (name) => {
    const { code, stdout } = await runLiif(['help', ...(name ? [name] : [])]);
    expect(code).toBe(0);
    const lines = stdout.toString().split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.at(-2)).not.toBe('');
    expect(stdout.toString()).not.toMatch(/default: ("|'|\[)|choices:|default:[^)]*default:/);
  });

  it('takes help for a command', async () => {
    const [{ code, stdout }, help] = await Promise.all([runLiif(['help', 'help']), runLiif(['--help'])]);
    expect([code, stdout.toString()]).toEqual([0, help.stdout.toString()]);
  });

  it.each(['--help', 'info'])('says in one line that standard output is full: %s', async (command) => {
    const args = command === 'info' ? ['info', join(root, 'samples/encoded/tea.liif')] : [command];
    const full = await open('/dev/full', 'w');
    const child = startLiif(args, { stdio: ['ignore', full.fd, 'pipe'] });
    await full.close();
    const [stderr, [code]] = await Promise.all([text(child.stderr!), once(child, 'close')]);
    expect(stderr).toBe('liif: standard output: cannot be written: no space left on the device\n');
    expect(code).toBe(6);
  });

  it('goes on with the next input, and ends with the right code, where standard error is full', async () => {
    const full = await open('/dev/full', 'w');
    const args = ['info', 'missing.liif', join(root, 'samples/encoded/tea.liif')];
    const child = startLiif(args, { stdio: ['ignore', 'pipe', full.fd] });
    await full.close();
    const [stdout, [code]] = await Promise.all([text(child.stdout!), once(child, 'close')]);
    expect(stdout).toContain('tea.liif');
    expect(code).toBe(3);
  });

  it('prints no control characters of file names', () =>
    expectFailure(['info', 'a\u001b[31mred\u0007.liif'], 3, /^liif: a\?\[31mred\?\.liif: no such file\n$/));

  it.each([
    [['encode', 'x.png', '--nope'], /unknown option '--nope'; see liif encode --help/],
    [['decode', 'encode', '--nope'], /unknown option '--nope'; see liif decode --help/],
    [['encod'], /^liif: unknown command 'encod' \(Did you mean encode\?\); see liif --help\n$/],
    [
      ['encode', 'x.png', '--chunk-size', '9'],
      /Expected a multiple of 8 from 8 to 64; see liif encode --help/,
    ],
    [['help', 'frobnicate'], /^liif: unknown command 'frobnicate'; see liif --help\n$/],
    [['decode', 'x.liif', '-o', ''], /Expected a path/],
    [['frobnicate'], /unknown command 'frobnicate'.*see liif --help/],
    [['encode'], /missing required argument 'input'/],
    [['encode', 'x.png', '-q', '0'], /--quality.*'0' is invalid.*1 to 100/],
    [['encode', 'x.png', '-q', '60', '--target-size', '9k'], /cannot be used with/],
    [['encode', 'x.png', '--target-size', 'big'], /80k, 1\.5M/],
    [['decode', 'x.liif'], /-o FILE/],
    [['decode', 'x.liif', '-o', 'x.bmp'], /ending names no format/],
    [['decode', 'x.liif', '-o', 'x.png', '--region', '1,2,3'], /x,y,width,height/],
    [['decode', 'x.liif', '-o', 'x.png', '--scale', '0'], /greater than 0/],
    [['decode', 'x.liif', '-o', 'x.png', '--scale', '2', '--width', '9'], /cannot be used with/],
  ])('answers wrong usage with code 2 and one line: %j', (args, line) => expectFailure(args, 2, line));
});
