import type { Request, RequestHandler, Response } from 'express';
import type { Config } from '../config.ts';
import { notFound, Problem, stopping } from '../problem.ts';
import type { Services } from '../services.ts';
import { openApiDocument } from './answer/openapi.ts';
import { sendJson } from './answer/send-text.ts';
import { PAGE } from './answer/viewer-files.ts';
import type { Exchange } from './exchange.ts';
import { allowedMethods, givesUpJobs, takesImages } from './request/methods.ts';
import { parseRequest } from './request/request.ts';

/**
 * `draining`: still answers, but balancers are told to go elsewhere. `no-engine`: the same while none can be
 * opened.
 */
export type ServerState = 'ready' | 'no-engine' | 'draining' | 'closed';

/** What pages say from sources whose viewer has not been built. */
const NO_VIEWER = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Pictures</title>
<p>The viewer has not been built: <code>npm run build:viewer</code> builds it; then start the server again. Tiles and all other
<a href="openapi.json">addresses of this server</a> work without it.
`;

/** Hands each request to the handler of its kind. Rejects with Problem, and as the handlers do. */
export function router(
  { catalog, handlers, hosts, metrics, stores, uploads }: Services,
  config: Config,
  stateNow: () => ServerState,
): RequestHandler {
  /** Answers balancers and monitoring, whatever name they give to the server. */
  async function answerState(kind: 'health' | 'ready' | 'metrics', response: Response): Promise<void> {
    response.set('Cache-Control', 'no-store');
    switch (kind) {
      case 'health':
        response.json({ status: stateNow(), uptimeSeconds: process.uptime() });
        return;
      case 'ready':
        response.status(stateNow() === 'ready' ? 200 : 503).json({
          status: stateNow(),
          pictures: catalog.size,
          stores: Object.fromEntries(stores.map(({ name, healthy }) => [name, healthy])),
        });
        return;
      case 'metrics':
        if (!config.metrics) throw notFound('Metrics are switched off.');
        response.set('Content-Type', metrics.contentType);
        response.end(await metrics.text());
    }
  }

  /**
   * Checks the Host header for all that follows: its name goes into answers, and a page of another site may
   * have its own name point here.
   */
  function exchangeOf(request: Request, response: Response): Exchange {
    return { request, response, signal: response.locals.signal, base: hosts.baseOf(request) };
  }

  /** Answers GET and HEAD. */
  async function read(request: Request, response: Response): Promise<void> {
    if (PAGE.test(request.url)) {
      hosts.baseOf(request);
      response.set('Cache-Control', 'no-cache').type('html').send(NO_VIEWER);
      return;
    }
    const wanted = parseRequest(request.url);
    response.locals.route = wanted.kind;
    if (wanted.kind === 'health' || wanted.kind === 'ready' || wanted.kind === 'metrics')
      return answerState(wanted.kind, response);
    const exchange = exchangeOf(request, response);
    if (stateNow() === 'closed') throw stopping();
    if (wanted.kind === 'openapi') return sendJson(exchange, openApiDocument(exchange.base));
    if (wanted.kind === 'job') return uploads.report(exchange, wanted.job);
    return handlers.answer(exchange, wanted);
  }

  /** Answers methods other than GET and HEAD. Throws Problem 405 for those that the address does not have. */
  async function write(request: Request, response: Response): Promise<void> {
    const { method, url } = request;
    if (method === 'POST' && takesImages(url, config.allowUpload)) {
      response.locals.route = 'upload';
      return uploads.receive(exchangeOf(request, response));
    }
    if (method === 'DELETE' && givesUpJobs(url, config.allowUpload)) {
      const wanted = parseRequest(url);
      response.locals.route = 'job';
      if (wanted.kind === 'job') return uploads.cancel(exchangeOf(request, response), wanted.job);
    }
    response.set('Allow', allowedMethods(url, config.allowUpload));
    const detail =
      method === 'POST' && takesImages(url, true)
        ? 'Images are taken where the setting allowUpload (--allow-upload) is on.'
        : 'This method is not answered here.';
    throw new Problem(405, 'method-not-allowed', detail);
  }

  return (request, response) =>
    request.method === 'GET' || request.method === 'HEAD'
      ? read(request, response)
      : write(request, response);
}
