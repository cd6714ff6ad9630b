import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { RequestHandler } from 'express';
import type { Logger } from 'pino';
import type { Metrics } from '../metrics.ts';
import { ClientGone } from '../problem.ts';
import { onAnswerOver } from './answer/answer-turn.ts';

/** Headers of answers that pages of other origins may read. */
const EXPOSED = 'ETag, Link, Picture-Version, Retry-After, Server-Timing, Content-Range, X-Request-Id';
/** Names of requests that are taken from proxies. */
const SANE_ID = /^[\w.:/+=@-]{1,128}$/;

/**
 * Comes first. Gives every request a name (that of `X-Request-Id`, if it has one), a signal that aborts when
 * its client has gone, and the headers for other origins. Counts and logs what became of the request. Leaves
 * `id`, `client`, `signal` and `route` in `response.locals`; handlers set the route.
 */
export function requestContext(
  metrics: Metrics,
  log: Logger,
  { allowOrigin, trustProxy }: { readonly allowOrigin: string; readonly trustProxy: boolean },
): RequestHandler {
  return (request, response, next) => {
    const begun = performance.now();
    const given = request.get('x-request-id');
    const id = given !== undefined && SANE_ID.test(given) ? given : randomUUID();
    const client = clientOf(request, trustProxy);
    const controller = new AbortController();
    response.locals.signal = controller.signal;
    response.locals.id = id;
    response.locals.client = client;
    response.locals.route = 'page';
    const over = () => {
      const route: string = response.locals.route;
      const seconds = (performance.now() - begun) / 1000;
      if (!response.writableFinished) {
        controller.abort(new ClientGone());
        metrics.abandoned.inc();
      } else metrics.requests.inc({ route, status: response.statusCode });
      metrics.duration.observe({ route }, seconds);
      if (log.isLevelEnabled('debug'))
        log.debug(
          {
            request: id,
            client,
            method: request.method,
            url: request.originalUrl.slice(0, 512),
            status: response.statusCode,
            ms: Math.round(seconds * 1e4) / 10,
            finished: response.writableFinished,
          },
          'request',
        );
    };
    // Middleware of the site may have taken longer than the client waits. The connection has then closed
    // before anybody listened.
    if (request.socket.destroyed) {
      over();
      response.destroy();
      return;
    }
    // Koa sets 404 before its middleware runs.
    response.statusCode = 200;
    onAnswerOver(request, response, over);
    response.set({
      'Access-Control-Allow-Origin': allowOrigin,
      'Access-Control-Expose-Headers': EXPOSED,
      'Timing-Allow-Origin': allowOrigin,
      'X-Request-Id': id,
    });
    next();
  };
}

/** Address of the client: the last one that a trusted proxy has written, or that of the connection. */
function clientOf({ headers, socket }: IncomingMessage, trustProxy: boolean): string | undefined {
  const forwarded = headers['x-forwarded-for'];
  const last = trustProxy
    ? String(forwarded ?? '')
        .split(',')
        .at(-1)!
        .trim()
    : '';
  return isIP(last) === 0 ? socket.remoteAddress : last;
}
