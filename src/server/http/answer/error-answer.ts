import type { ErrorRequestHandler } from 'express';
import type { Logger } from 'pino';
import { messageOf } from '../../../errors.ts';
import { ClientGone, type Problem, problemDocument, problemOf } from '../../problem.ts';
import { RepeatedLines } from '../../repeated-lines.ts';

/**
 * Comes last: answers with what was thrown as problem+json (RFC 9457), which tells nothing of the machine,
 * and logs failures of the server.
 */
export function errorAnswer(log: Logger): ErrorRequestHandler {
  const lines = new RepeatedLines(log);
  return (error: unknown, request, response, _next) => {
    if (error instanceof ClientGone || response.destroyed) {
      response.destroy();
      return;
    }
    const problem = problemOf(error);
    const { id, client, picture } = response.locals;
    if (problem.status >= 500) {
      const { method, originalUrl } = request;
      const about = { request: id, client, method, url: originalUrl.slice(0, 512), picture };
      tell(lines, problem, about, error);
    }
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
    // The rest of the body may never come.
    if (problem.status === 408) response.set('Connection', 'close');
    if (problem.retryAfter !== undefined) response.set('Retry-After', String(problem.retryAfter));
    const document = { ...problemDocument(problem), instance: `urn:liif:request:${encodeURIComponent(id)}` };
    response.end(request.method === 'HEAD' ? undefined : JSON.stringify(document));
  };
}

/**
 * Logs a failure. All answers of a full or stopping server are one kind of line; otherwise each picture and
 * cause is a kind of its own.
 */
function tell(
  lines: RepeatedLines,
  problem: Problem,
  about: { readonly picture: unknown } & Record<string, unknown>,
  error: unknown,
): void {
  const { status, code, cause, message } = problem;
  const err = cause ?? error;
  if (status === 503) {
    const kind = cause === undefined ? code : `${code} ${about.picture}`;
    lines.write('warn', kind, { ...about, code }, message);
  } else lines.write('error', `${code} ${about.picture} ${messageOf(err)}`, { ...about, code, err }, message);
}
