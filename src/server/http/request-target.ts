import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { Problem } from '../problem.ts';

const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/** Brings a target in absolute form (`GET http://host/path`) into the usual one; its host goes before the Host header (RFC 9112, 3.2.2). */
export function toOriginForm(request: IncomingMessage): void {
  const match = ABSOLUTE.exec(request.url ?? '');
  if (match === null) return;
  const rest = request.url!.slice(match[0].length);
  request.url = rest.startsWith('/') ? rest : `/${rest}`;
  request.headers.host = match[1]!;
}

/** Comes before whatever looks at addresses. Throws Problem 400 where several hosts are named (RFC 9112, 3.2). */
export function requestTarget(): RequestHandler {
  return (request, _response, next) => {
    if ((request.headersDistinct.host?.length ?? 0) > 1)
      throw new Problem(400, 'several-hosts', 'A request has one Host header.');
    toOriginForm(request);
    next();
  };
}
