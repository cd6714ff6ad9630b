import { describe, expect, it } from 'vitest';
import { VERSION } from '../../src/version.ts';
import { runLiif } from './run-liif.ts';
import { expectFailure } from './workbench.ts';

describe('liif', () => {
  it('prints its version', async () => {
    const { code, stdout } = await runLiif(['--version']);
    expect([code, stdout.toString()]).toEqual([0, `${VERSION}\n`]);
  });

  it('lists commands and exit codes in its help', async () => {
    const { code, stdout } = await runLiif(['--help']);
    expect(code).toBe(0);
    for (const text of ['encode', 'decode', 'info', 'verify', 'compare', 'Exit codes:', '130'])
      expect(stdout.toString()).toContain(text);
  });

  it.each([
    [['encode', 'x.png', '--nope'], /unknown option '--nope'; see liif encode --help/],
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
