import { CommanderError } from 'commander';
import { isLiifError, type LiifErrorTag } from '../errors.ts';
import { ImageError, OutputError } from '../image/errors.ts';
import { Interruption } from './interruption.ts';
import { InputFailure, ReportedFailure } from './several.ts';

/** Exit codes of the process. They are part of the command line's interface. */
export const EXIT = {
  ok: 0,
  unexpected: 1,
  request: 2,
  input: 3,
  damaged: 4,
  unsupported: 5,
  output: 6,
  engine: 7,
} as const;

export const EXIT_CODES_HELP = `
Exit codes:
  0  done
  1  unexpected failure: a fault of this program
  2  wrong usage: unknown option, value out of range, region outside the picture
  3  the input did not arrive: missing file, no permission, network failure
  4  the input is damaged or invalid
  5  the input is not supported: unknown format, version or model, too large
  6  the output cannot be written
  7  the engine failed or is not available here
  130, 143  interrupted (Ctrl-C), terminated; unfinished files are removed
Of several inputs all are tried; the first failure decides the code.`;

const TAG_CODES: Readonly<Record<LiifErrorTag, number>> = {
  RequestError: EXIT.request,
  SourceError: EXIT.input,
  FormatError: EXIT.damaged,
  UnsupportedError: EXIT.unsupported,
  EngineError: EXIT.engine,
};

export function exitCodeOf(error: unknown): number {
  if (error instanceof InputFailure || error instanceof ReportedFailure) return exitCodeOf(error.cause);
  if (error instanceof Interruption) return error.exitCode;
  if (error instanceof OutputError) return EXIT.output;
  if (error instanceof ImageError) return EXIT.damaged;
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.request;
  if (isLiifError(error)) return TAG_CODES[error._tag];
  return EXIT.unexpected;
}
