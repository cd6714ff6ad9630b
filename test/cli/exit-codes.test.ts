import { expect, it } from 'vitest';
import { EXIT, EXIT_CODES_HELP, exitCodeOf } from '../../src/cli/exit-codes.ts';
import { InputFailure, ReportedFailure } from '../../src/cli/several.ts';
import { EngineError, FormatError, RequestError, SourceError, UnsupportedError } from '../../src/errors.ts';
import { ImageError, OutputError } from '../../src/image/errors.ts';

it.each([
  [new Error('a fault'), 1],
  [new RequestError('quality 0'), 2],
  [new SourceError('no such file'), 3],
  [new FormatError('chunk', 7, 'damaged'), 4],
  [new ImageError('cut'), 4],
  [new UnsupportedError('version 9'), 5],
  [new OutputError('no space'), 6],
  [new EngineError('no GPU'), 7],
  [new InputFailure('a.liif', new SourceError('gone')), 3],
  [new ReportedFailure(new InputFailure('a.liif', new EngineError('gone'))), 7],
])('%s exits with %i', (error, code) => {
  expect(exitCodeOf(error)).toBe(code);
});

it('lists every code in the help', () => {
  for (const code of Object.values(EXIT)) expect(EXIT_CODES_HELP).toMatch(new RegExp(`^  ${code} `, 'm'));
});
