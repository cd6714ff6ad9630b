import type { ErrorRequestHandler } from 'express';
import type { Logger } from 'pino';
import { ClientGone, problemDocument, problemOf } from '../problem.ts';

/** Comes last: what was thrown, as problem+json (RFC 9457) that leaks nothing of the machine. */
export function errorAnswer(log: Logger): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    if (error instanceof ClientGone || response.destroyed) {
      response.destroy();
      return;
    }
    const problem = problemOf(error);
    const { number } = response.locals;
    if (problem.status >= 500 && problem.status !== 503)
      log.error({ request: number, code: problem.code, err: problem.cause ?? error }, problem.message);
    else if (problem.status === 503) log.warn({ request: number, code: problem.code }, problem.message);
    if (response.headersSent) {
      // Half an answer must not look like a whole one.
      response.destroy();
      return;
    }
    for (const header of ['ETag', 'Content-Length', 'Accept-Ranges', 'Link', 'Content-Encoding', 'Vary'])
      response.removeHeader(header);
    response.status(problem.status).set({
      'Cache-Control': 'no-store',
      'Content-Type': 'application/problem+json; charset=utf-8',
    });
    // The rest of the request may never come.
    if (problem.status === 408) response.set('Connection', 'close');
    if (problem.retryAfter !== undefined) response.set('Retry-After', String(problem.retryAfter));
    const document = { ...problemDocument(problem), instance: `urn:liif:request:${number}` };
    response.end(request.method === 'HEAD' ? undefined : JSON.stringify(document));
  };
}
