import { STATUS_CODES } from 'node:http';
import { isLiifError } from '../errors.ts';
import { ImageError, OutputError } from '../image/errors.ts';

/**
 * Why a request was not served, by RFC 9457. Clients see it, so nothing in it may name a path of this
 * machine.
 */
export class Problem extends Error {
  readonly status: number;
  /** Short and stable, for programs: the last part of the problem's type. */
  readonly code: string;
  /** Seconds after which trying again makes sense. */
  readonly retryAfter: number | undefined;
  /** Further members of the document. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    code: string,
    detail: string,
    options: {
      readonly retryAfter?: number | undefined;
      readonly members?: Record<string, unknown>;
      readonly cause?: unknown;
    } = {},
  ) {
    // No stack trace: an overloaded server makes thousands of these, a trace would be a tenth of their cost,
    // and the code says where they come from.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.status = status;
    this.code = code;
    this.retryAfter = options.retryAfter;
    this.members = options.members ?? {};
  }

  /** Whether an operator has to do something: the server or a file is at fault. 503 passes by itself. */
  get isFault(): boolean {
    return this.status >= 500 && this.status !== 503;
  }
}

/** A file that has changed within this time may still be being written. */
const BEING_WRITTEN_MS = 5000;

/** Titles of RFC 9110. Older versions of Node have another one for 413. */
const TITLES: Readonly<Record<number, string | undefined>> = { ...STATUS_CODES, 413: 'Content Too Large' };

export function badRequest(code: string, detail: string): Problem {
  return new Problem(400, code, detail);
}

export function notFound(detail = 'There is nothing at this address.'): Problem {
  return new Problem(404, 'not-found', detail);
}

export function stopping(): Problem {
  return new Problem(503, 'stopping', 'The server is stopping.', { retryAfter: 5 });
}

/** The work was stopped because the last client that wanted it has gone. Never sent. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** The file is not the one that was opened any more. Opening it again may help. */
export class PictureChanged extends Error {
  override readonly name = 'PictureChanged';
}

/**
 * The one table from errors to statuses. Messages of the codec may name files of this machine, so clients see
 * only those of RequestError.
 */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const problem = (status: number, code: string, detail: string, retryAfter?: number) =>
    new Problem(status, code, detail, { cause: error, retryAfter });
  if (error instanceof PictureChanged)
    return problem(503, 'picture-changed', 'The picture is being replaced; try again.', 1);
  if (error instanceof OutputError) return notWritten(error);
  if (isDamage(error)) return problem(500, 'damaged-file', 'The file of this picture is damaged.');
  if (isLiifError(error)) {
    switch (error._tag) {
      case 'RequestError':
        return problem(400, 'invalid-request', error.message);
      case 'UnsupportedError':
        return problem(
          501,
          'unsupported-file',
          'The file of this picture needs another version of liif, or is larger than this server serves.',
        );
      case 'SourceError':
        if (isOutOfFiles(error.cause))
          return new Problem(503, 'too-many-files', 'The server has too many files open; try again soon.', {
            retryAfter: 2,
          });
        return problem(502, 'source-failed', 'The bytes of this picture could not be read.');
      case 'EngineError':
        return problem(503, 'engine-failed', 'The decoder has failed; try again.', 1);
    }
  }
  // Express and its parsers throw errors with a status of 4xx.
  const status = (error as { status?: unknown } | null)?.status;
  if (status === 413) return problem(413, 'too-large', 'The body is too large.');
  if (typeof status === 'number' && status >= 400 && status < 500)
    return problem(status, 'invalid-request', 'The request cannot be understood.');
  return problem(500, 'internal-error', 'The server has made a mistake.');
}

/**
 * 507 is for a full disk alone (RFC 4918, 11.5); a directory that refuses to be written to is a fault of how
 * the server is set up.
 */
function notWritten(error: OutputError): Problem {
  const code = systemCodeOf(error.cause);
  const problem = (status: number, name: string, detail: string) =>
    new Problem(status, name, detail, { cause: error });
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return problem(507, 'not-written', 'The server has no space left for the picture.');
  if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM')
    return problem(500, 'not-writable', 'The server may not write to its directory of pictures.');
  return problem(500, 'not-written', 'The server cannot write the picture.');
}

/**
 * The error of a picture whose file changed at `modified`. Damage of a file that may still be being written
 * becomes PictureChanged: trying again may help.
 */
export function unlessBeingWritten(error: unknown, modified: number | undefined): unknown {
  if (modified === undefined || !isDamage(error)) return error;
  if (Math.abs(Date.now() - modified) > BEING_WRITTEN_MS) return error;
  return new PictureChanged('the file is damaged, or still being written', { cause: error });
}

/** Whether the process or the system has too many files open. */
function isOutOfFiles(error: unknown): boolean {
  const code = systemCodeOf(error);
  return code === 'EMFILE' || code === 'ENFILE';
}

/** What Node calls an error of the system, such as `ENOSPC`. */
function systemCodeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

/** Whether the file is damaged. */
function isDamage(error: unknown): boolean {
  return error instanceof ImageError || isLiifError(error, 'FormatError');
}

/** The document of RFC 9457. */
export function problemDocument(problem: Problem): Record<string, unknown> {
  return {
    type: `urn:liif:problem:${problem.code}`,
    title: TITLES[problem.status] ?? 'Error',
    status: problem.status,
    detail: problem.message,
    ...problem.members,
  };
}
