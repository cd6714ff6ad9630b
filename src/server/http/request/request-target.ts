import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { Problem } from '../../problem.ts';

const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/**
 * Replaces a target in absolute form (`GET http://host/path`) by its path, and the Host header by its host
 * (RFC 9112, 3.2.2).
 */
export function toOriginForm(request: IncomingMessage): void {
  const match = ABSOLUTE.exec(request.url ?? '');
  if (match === null) return;
  const rest = request.url!.slice(match[0].length);
  request.url = rest.startsWith('/') ? rest : `/${rest}`;
  request.headers.host = match[1]!;
}

/**
 * Stands before all that reads addresses. Throws Problem 400 where there are several Host headers (RFC 9112,
 * 3.2).
 */
export function requestTarget(): RequestHandler {
  return (request, _response, next) => {
    if ((request.headersDistinct.host?.length ?? 0) > 1)
      throw new Problem(400, 'several-hosts', 'A request has one Host header.');
    toOriginForm(request);
    next();
  };
}
