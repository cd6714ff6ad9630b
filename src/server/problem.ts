import { isLiifError } from '../errors.ts';
import { ImageError, OutputError } from '../image/errors.ts';

/** Why a request was not served, as RFC 9457 has it. Nothing here may name a path of this machine. */
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
      readonly retryAfter?: number;
      readonly members?: Record<string, unknown>;
      readonly cause?: unknown;
    } = {},
  ) {
    // A full server makes thousands of these: a trace would be a tenth of what a refusal costs, and its code says where it comes from.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.status = status;
    this.code = code;
    this.retryAfter = options.retryAfter;
    this.members = options.members ?? {};
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  507: 'Insufficient Storage',
};

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

/** A file is not the one that was opened any more. Opening it again may help. */
export class PictureChanged extends Error {
  override readonly name = 'PictureChanged';
}

/**
 * The one table from errors to statuses. Messages of the codec may name files of this machine, so only those of RequestError pass on.
 */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof PictureChanged)
    return new Problem(503, 'picture-changed', 'The picture is being replaced; try again.', {
      retryAfter: 1,
      cause: error,
    });
  if (error instanceof OutputError)
    return new Problem(507, 'not-written', 'The server cannot write the picture.', { cause: error });
  if (error instanceof ImageError) return damaged(error);
  if (isLiifError(error)) {
    switch (error._tag) {
      case 'RequestError':
        return new Problem(400, 'invalid-request', error.message, { cause: error });
      case 'FormatError':
        return damaged(error);
      case 'UnsupportedError':
        return new Problem(
          501,
          'unsupported-file',
          'The file of this picture needs another version of liif.',
          {
            cause: error,
          },
        );
      case 'SourceError':
        return new Problem(502, 'source-failed', 'The bytes of this picture could not be read.', {
          cause: error,
        });
      case 'EngineError':
        return new Problem(503, 'engine-failed', 'The decoder has failed and is being replaced; try again.', {
          retryAfter: 1,
          cause: error,
        });
    }
  }
  // What express and its parsers throw: an error with a status of 4xx.
  const status = (error as { status?: unknown } | null)?.status;
  if (typeof status === 'number' && status >= 400 && status < 500)
    return new Problem(
      status,
      status === 413 ? 'too-large' : 'invalid-request',
      status === 413 ? 'The body is too large.' : 'The request cannot be understood.',
      { cause: error },
    );
  return new Problem(500, 'internal-error', 'The server has made a mistake.', { cause: error });
}

function damaged(cause: Error): Problem {
  return new Problem(500, 'damaged-file', 'The file of this picture is damaged.', { cause });
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
