import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import compression from 'compression';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import helmet from 'helmet';
import { type Logger, pino } from 'pino';
import sharp from 'sharp';
import type { Engine } from '../engine/engine.ts';
import { RequestError } from '../errors.ts';
import { type Config, type ConfigInput, checkConfig } from './config.ts';
import { Handlers } from './http/handlers.ts';
import { Hosts } from './http/hosts.ts';
import { openApiDocument } from './http/openapi.ts';
import { pageWithoutViewer } from './http/page-without-viewer.ts';
import { parseRequest, type ServerRequest } from './http/request.ts';
import { Uploads } from './http/uploads.ts';
import { Metrics } from './metrics.ts';
import { Catalog } from './pictures/catalog.ts';
import { OpenPictures } from './pictures/open-pictures.ts';
import { plainLevels } from './pictures/plain-picture.ts';
import { type Credentials, Remotes } from './pictures/remotes.ts';
import { ResamplePool } from './pictures/resample-pool.ts';
import { ClientGone, Problem, problemDocument, problemOf } from './problem.ts';
import { Admission } from './render/admission.ts';
import { openServerEngine } from './render/engine.ts';
import { EngineHost } from './render/engine-host.ts';
import { RenderService } from './render/render-service.ts';
import { openDiskStore } from './stores/disk-store.ts';
import { openRedisStore } from './stores/redis-store.ts';
import type { StoreEvents, TileStore } from './stores/tile-store.ts';

export interface AppOptions extends ConfigInput {
  /** Directories and files to serve. */
  readonly roots: readonly string[];
  /** Instead of the engine that the settings name. It is called again when an engine has failed; the server closes what it gives. */
  readonly openEngine?: () => Promise<Engine>;
  readonly logger?: Logger;
  /** Keys of the S3 service; without them requests are not signed. */
  readonly credentials?: Credentials;
  /** Directory of the built viewer; by default the one that comes with the package. */
  readonly viewer?: string;
}

/** An Express application: mount it, or listen. */
export type LiifApp = Express & {
  readonly config: Config;
  /** Answers /ready with 503 from now on, so that balancers go elsewhere. */
  drain(): void;
  /** Ends everything; running requests fail. */
  close(): Promise<void>;
};

/** The viewer's page of one picture: /view?id=… */
const PICTURE_PAGE = /^\/view(\?|$)/;
/** Both pages of the viewer: the gallery and that one. */
const PAGE = /^\/(view|index\.html)?(\?|$)/;
/** Megabytes of the settings in bytes. */
const MB = 2 ** 20;
/** The weights of the released model, for browsers that decode by themselves: they read what they need of it by ranges. */
const MODEL_PATH = 'model/liif-1.safetensors';
/** Answers that are kept from nobody: what clients of other origins may read. */
const EXPOSED = 'ETag, Link, Retry-After, Server-Timing, Content-Range';

/**
 * The tile server as an Express application: `express().use('/pictures', await createApp({ roots: ['photos'] }))`. Rejects with RequestError
 * on settings that are none, with SourceError where a root is not there.
 */
export async function createApp(options: AppOptions): Promise<LiifApp> {
  const { roots, openEngine, logger, credentials, viewer, ...input } = options;
  const config = checkConfig(input);
  if (!config.allowOrigin.match(/^(\*|https?:\/\/[^\s,]+)$/))
    throw new RequestError(`setting allowOrigin: expected * or an origin but received ${config.allowOrigin}`);
  const log = logger ?? pino({ level: config.logLevel });
  const metrics = new Metrics();
  // libvips' own cache would keep pixels of files that have been replaced, and its threads gain nothing on tiles.
  sharp.cache(false);
  sharp.concurrency(1);

  const catalog = await Catalog.open({
    roots,
    plain: config.plain,
    watch: config.watch,
    onWarning: (message) => log.warn(message),
    onChange: (pictures) => log.debug({ pictures }, 'catalog read'),
  });
  const remotes = new Remotes(config, credentials);
  const engines = new EngineHost({
    openEngine: openEngine ?? (() => openServerEngine(config)),
    featureCacheBytes: config.featureCacheMb * MB,
    latentCacheBytes: config.latentCacheMb * MB,
    onReplaced: (reason) => {
      metrics.replaced.inc();
      log.error({ reason }, 'engine failed and is replaced');
    },
    onBatch: (requests) => metrics.batches.observe(requests),
  });
  const resampling = new ResamplePool(Math.max(1, Math.ceil(config.threads / 2)));
  const levels = plainLevels(config.plainCacheMb * MB);
  const pictures = new OpenPictures({
    catalog,
    remotes,
    engines,
    remoteFreshMs: config.remoteFreshMs,
    plain: { levels, resampling, maxPixels: config.maxPlainPixels, maxFileBytes: 256 * MB },
  });
  const storeEvents: StoreEvents = {
    onChange: (store, healthy, reason) => {
      if (healthy) log.info({ store }, 'tile store works again');
      else {
        metrics.storeProblems.inc({ cache: store, kind: 'failure' });
        log.warn({ store, reason }, 'tile store failed; going on without it');
      }
    },
    onCorrupt: (store) => {
      metrics.storeProblems.inc({ cache: store, kind: 'corrupt' });
      log.warn({ store }, 'corrupt entry in the tile store');
    },
  };
  const stores: TileStore[] = [];
  if (config.redis !== undefined)
    stores.push(
      await openRedisStore({ url: config.redis, ttlSeconds: config.redisTtlSeconds, ...storeEvents }),
    );
  if (config.diskCache !== undefined)
    stores.push(
      await openDiskStore({
        directory: config.diskCache,
        maxBytes: config.diskCacheMb * MB,
        ...storeEvents,
      }),
    );
  const admission = new Admission({
    lanes: {
      tile: { running: config.threads * 2 + 2, waiting: config.tileQueue, maxWaitMs: config.maxWaitMs },
      region: {
        running: Math.max(1, Math.floor(config.threads / 2)),
        waiting: config.regionQueue,
        maxWaitMs: config.maxWaitMs * 10,
      },
    },
    regionBytes: config.regionMemoryMb * MB,
    onShed: (lane, reason) => metrics.shed.inc({ lane, reason }),
  });
  const service = new RenderService({
    admission,
    metrics,
    quality: config,
    cacheBytes: config.tileCacheMb * MB,
    stores,
    maxWork: config.maxWork,
    timeoutMs: config.timeoutMs,
    resampling,
  });
  const hosts = new Hosts(config as Config & { publicUrl: string | undefined });
  const handlers = new Handlers({
    catalog,
    pictures,
    engines,
    service,
    hosts,
    limits: {
      maxWidth: config.maxOutputSide,
      maxHeight: config.maxOutputSide,
      maxArea: config.maxOutputArea,
    },
    upload: config.allowUpload,
    onDamaged: (id, error) => log.warn({ id, err: error }, 'picture cannot be served'),
  });
  const uploads = new Uploads({
    catalog,
    engines,
    maxBytes: config.uploadMb * MB,
    maxPixels: config.maxPlainPixels,
    infoOf: (id, signal) => handlers.infoOf(id, signal),
    onFailed: (id, error) => log.warn({ id, err: error }, 'an uploaded image was not encoded'),
  });
  metrics.watchAdmission(admission);
  metrics.watchPictures(() => catalog.size);
  metrics.watchCaches(() => ({ images: service.counts, plain: levels, pictures: pictures.counts }));

  let state: 'ready' | 'draining' | 'closed' = 'ready';
  let requestNumber = 0;
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);

  app.use((request: Request, response: Response, next: NextFunction) => {
    const begun = performance.now();
    const number = ++requestNumber;
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    response.locals.signal = controller.signal;
    response.locals.number = number;
    response.locals.route = 'page';
    response.on('close', () => {
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
            request: number,
            method: request.method,
            url: request.originalUrl.slice(0, 512),
            status: response.statusCode,
            ms: Math.round(seconds * 1e4) / 10,
            finished: response.writableFinished,
          },
          'request',
        );
    });
    response.set({
      'Access-Control-Allow-Origin': config.allowOrigin,
      'Access-Control-Expose-Headers': EXPOSED,
      'Timing-Allow-Origin': config.allowOrigin,
    });
    if (request.method === 'OPTIONS') {
      response.set({
        'Access-Control-Allow-Methods': 'GET, HEAD',
        'Access-Control-Allow-Headers': 'Accept, Content-Type, If-None-Match, If-Range, Range',
        'Access-Control-Max-Age': '86400',
      });
      response.locals.route = 'options';
      response.status(204).end();
      return;
    }
    next();
  });

  app.use(
    helmet({
      // Pictures are for pages of other sites too.
      crossOriginResourcePolicy: { policy: 'cross-origin' },
      // The viewer's own page may share memory with its workers, where it decodes by itself.
      crossOriginEmbedderPolicy: true,
      strictTransportSecurity: config.publicUrl?.startsWith('https:') ?? false,
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'self'"],
          baseUri: ["'none'"],
          connectSrc: ["'self'", 'blob:', 'data:'],
          frameAncestors: ["'self'"],
          imgSrc: ["'self'", 'blob:', 'data:'],
          objectSrc: ["'none'"],
          scriptSrc: ["'self'", "'wasm-unsafe-eval'"],
          styleSrc: ["'self'", "'unsafe-inline'"],
          workerSrc: ["'self'", 'blob:'],
        },
      },
    }),
  );

  const compress = compression({ threshold: 1024 });
  const page = viewerDirectory(viewer);
  if (page !== undefined) {
    const files = express.static(page, {
      index: 'index.html',
      redirect: false,
      fallthrough: true,
      dotfiles: 'ignore',
      setHeaders(response, path) {
        // Vite names assets by their content.
        const named = /[\\/]assets[\\/]/.test(path);
        response.setHeader('Cache-Control', named ? 'public, max-age=31536000, immutable' : 'no-cache');
      },
    });
    // Only addresses that can be files of the viewer cost a look at the disk.
    app.use((request, response, next) => {
      if (!/^\/(assets\/[^/?]+|[^/?]*)(\?|$)/.test(request.url)) return next();
      if (PAGE.test(request.url)) hosts.baseOf(request, request.baseUrl);
      // Its own addresses are relative, so that it can be mounted anywhere; they need the slash.
      if (request.originalUrl.split('?')[0] === request.baseUrl) {
        response.redirect(308, `${request.baseUrl}/`);
        return;
      }
      // The page of a picture is the same file.
      if (PICTURE_PAGE.test(request.url)) request.url = '/index.html';
      compress(request, response, () => files(request, response, next));
    });
  }

  app.get(`/${MODEL_PATH}`, (_request, response, next) => {
    response.locals.route = 'model';
    const root = fileURLToPath(new URL('..', import.meta.url));
    response.sendFile(MODEL_PATH, { root, headers: { 'Cache-Control': 'no-cache' } }, (error) => {
      if (!error || response.headersSent) return;
      const { status } = error as { readonly status?: number };
      next(status === 416 ? new Problem(416, 'range-not-satisfiable', 'The file has no such bytes.') : error);
    });
  });

  app.use(async (request: Request, response: Response) => {
    const signal: AbortSignal = response.locals.signal;
    if (config.allowUpload && request.method === 'POST' && /^\/api\/images\/?(\?|$)/.test(request.url)) {
      response.locals.route = 'upload';
      hosts.baseOf(request, request.baseUrl);
      return uploads.receive(request, response, signal);
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.set('Allow', 'GET, HEAD, OPTIONS');
      throw new Problem(405, 'method-not-allowed', 'Only GET and HEAD are answered here.');
    }
    if (PAGE.test(request.url)) {
      hosts.baseOf(request, request.baseUrl);
      response.set('Cache-Control', 'no-cache').type('html');
      response.send(pageWithoutViewer(request.baseUrl, catalog.list()));
      return;
    }
    const wanted = parseRequest(request.url);
    response.locals.route = wanted.kind;
    await answer(wanted, request, response, signal);
  });

  async function answer(
    wanted: ServerRequest,
    request: Request,
    response: Response,
    signal: AbortSignal,
  ): Promise<void> {
    switch (wanted.kind) {
      case 'health':
        response.set('Cache-Control', 'no-store').json({ status: state, uptimeSeconds: process.uptime() });
        return;
      case 'ready':
        response
          .status(state === 'ready' ? 200 : 503)
          .set('Cache-Control', 'no-store')
          .json({
            status: state,
            pictures: catalog.size,
            stores: Object.fromEntries(stores.map(({ name, healthy }) => [name, healthy])),
          });
        return;
      case 'metrics':
        if (!config.metrics) throw new Problem(404, 'not-found', 'Metrics are switched off.');
        response.set({ 'Content-Type': metrics.registry.contentType, 'Cache-Control': 'no-store' });
        response.end(await metrics.registry.metrics());
        return;
    }
    // From here on names of hosts go into answers, or pages of other sites might be tricked into asking.
    const base = hosts.baseOf(request, request.baseUrl);
    if (state === 'closed') throw new Problem(503, 'stopping', 'The server is stopping.', { retryAfter: 5 });
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
    }
    await new Promise<void>((resolve) => compress(request, response, () => resolve()));
    switch (wanted.kind) {
      case 'images':
        return handlers.images(request, response, wanted, signal);
      case 'image':
        return handlers.image(request, response, wanted, signal);
      case 'iiif-info':
        return handlers.iiifInfo(request, response, wanted, signal);
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

  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
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
    if (problem.retryAfter !== undefined) response.set('Retry-After', String(problem.retryAfter));
    const document = { ...problemDocument(problem), instance: `urn:liif:request:${number}` };
    response.end(request.method === 'HEAD' ? undefined : JSON.stringify(document));
  });

  return Object.assign(app, {
    config,
    drain() {
      if (state === 'ready') state = 'draining';
    },
    async close() {
      if (state === 'closed') return;
      state = 'closed';
      await uploads.close();
      await catalog.close();
      service.close();
      pictures.close();
      levels.close();
      await resampling.close();
      await engines.close();
      await remotes.close();
      await Promise.all(stores.map((store) => store.close()));
    },
  });
}

/** The built viewer: beside the compiled server, or where the build of a checkout puts it when the sources run. */
function viewerDirectory(given: string | undefined): string | undefined {
  const built = ['../viewer', '../../dist/viewer'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  return (given === undefined ? built : [given]).find(
    (path) => existsSync(`${path}/index.html`) && existsSync(`${path}/assets`),
  );
}
