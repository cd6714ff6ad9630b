import type { Request, RequestHandler, Response } from 'express';
import type { Config } from '../config.ts';
import { notFound, Problem, stopping } from '../problem.ts';
import type { Services } from '../services.ts';
import { openApiDocument } from './answer/openapi.ts';
import { pageWithoutViewer } from './answer/page-without-viewer.ts';
import { PAGE } from './answer/viewer-files.ts';
import { allowedMethods, givesUpJobs, takesImages } from './request/methods.ts';
import { parseRequest, type ServerRequest } from './request/request.ts';

/** `draining`: still answers, but balancers are told to go elsewhere. `no-engine`: the same while none can be opened. */
export type ServerState = 'ready' | 'no-engine' | 'draining' | 'closed';

/** Requests whose answers are texts worth compressing. */
const TEXTS: ReadonlySet<ServerRequest['kind']> = new Set([
  'images',
  'image',
  'iiif-info',
  'iiif-manifest',
  'tilejson',
  'dzi',
  'pixel',
  'openapi',
]);

/** Hands each request to the handler of its kind. Rejects with Problem, and as the handlers do. */
export function router(
  { catalog, handlers, hosts, metrics, stores, uploads }: Services,
  config: Config,
  compress: RequestHandler,
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

  async function answer(
    wanted: ServerRequest,
    request: Request,
    response: Response,
    signal: AbortSignal,
  ): Promise<void> {
    if (wanted.kind === 'health' || wanted.kind === 'ready' || wanted.kind === 'metrics')
      return answerState(wanted.kind, response);
    // Checks the Host header for all that follows: its name goes into answers, and a page of another site may have its own name point here.
    const base = hosts.baseOf(request, request.baseUrl);
    if (stateNow() === 'closed') throw stopping();
    if (TEXTS.has(wanted.kind))
      await new Promise<void>((resolve) => compress(request, response, () => resolve()));
    switch (wanted.kind) {
      case 'tile':
        return handlers.tile(request, response, wanted, signal);
      case 'iiif-image':
        return handlers.iiifImage(request, response, wanted, signal);
      case 'dzi-tile':
        return handlers.dziTile(request, response, wanted, signal);
      case 'file':
        return handlers.file(request, response, wanted, signal);
      case 'iiif-base':
        return handlers.iiifBase(request, response, wanted, signal);
      case 'job':
        return uploads.report(request, response, wanted.job, signal);
      case 'images':
        return handlers.images(request, response, wanted, signal);
      case 'image':
        return handlers.image(request, response, wanted, signal);
      case 'iiif-info':
        return handlers.iiifInfo(request, response, wanted, signal);
      case 'iiif-manifest':
        return handlers.iiifManifest(request, response, wanted, signal);
      case 'tilejson':
        return handlers.tilejson(request, response, wanted, signal);
      case 'dzi':
        return handlers.dzi(request, response, wanted, signal);
      case 'pixel':
        return handlers.pixel(request, response, wanted, signal);
      case 'openapi':
        response.set('Cache-Control', 'no-cache').json(openApiDocument(base));
        return;
    }
  }

  /** Answers methods other than GET and HEAD. Throws Problem 405 for those that the address does not have. */
  async function write(request: Request, response: Response, signal: AbortSignal): Promise<void> {
    const { method, url } = request;
    if (method === 'POST' && takesImages(url, config.allowUpload)) {
      response.locals.route = 'upload';
      return uploads.receive(request, response, hosts.baseOf(request, request.baseUrl), signal);
    }
    if (method === 'DELETE' && givesUpJobs(url, config.allowUpload)) {
      const wanted = parseRequest(url);
      response.locals.route = 'job';
      if (wanted.kind === 'job')
        return uploads.cancel(request, response, hosts.baseOf(request, request.baseUrl), wanted.job);
    }
    response.set('Allow', allowedMethods(url, config.allowUpload));
    const detail =
      method === 'POST' && takesImages(url, true)
        ? 'Images are taken where the setting allowUpload (--allow-upload) is on.'
        : 'This method is not answered here.';
    throw new Problem(405, 'method-not-allowed', detail);
  }

  return async (request, response) => {
    const signal: AbortSignal = response.locals.signal;
    if (request.method !== 'GET' && request.method !== 'HEAD') return write(request, response, signal);
    if (PAGE.test(request.url)) {
      hosts.baseOf(request, request.baseUrl);
      response.set('Cache-Control', 'no-cache').type('html');
      response.send(pageWithoutViewer(request.baseUrl, catalog.list()));
      return;
    }
    const wanted = parseRequest(request.url);
    response.locals.route = wanted.kind;
    await answer(wanted, request, response, signal);
  };
}
