import type { Logger } from 'pino';
import sharp from 'sharp';
import type { Engine } from '../engine/engine.ts';
import { loadExactEngines } from '../engine/open-engine.ts';
import { messageOf } from '../errors.ts';
import { closeAll } from './close-all.ts';
import type { Config } from './config.ts';
import { EngineHost } from './engines/engine-host.ts';
import { openServerEngine } from './engines/open-server-engine.ts';
import { Descriptions } from './http/answer/descriptions.ts';
import { ServedModels } from './http/answer/served-models.ts';
import { Handlers } from './http/handlers.ts';
import { Hosts } from './http/request/hosts.ts';
import { Uploads } from './http/uploads/uploads.ts';
import { Metrics } from './metrics.ts';
import { Catalog } from './pictures/catalog/catalog.ts';
import { removeUnfinished } from './pictures/catalog/unfinished-files.ts';
import { OpenPictures } from './pictures/open-pictures.ts';
import { PlainLevels } from './pictures/plain/plain-decoder.ts';
import { ResamplePool } from './pictures/plain/resample-pool.ts';
import { type Credentials, Remotes } from './pictures/remotes.ts';
import { stopping } from './problem.ts';
import { Admission } from './render/admission.ts';
import { Encoding } from './render/encoding.ts';
import { RenderService } from './render/render-service.ts';
import { RepeatedLines } from './repeated-lines.ts';
import { openStores } from './stores/open-stores.ts';
import type { TileStore } from './stores/tile-store.ts';

/** Megabytes of the settings in bytes. */
const MB = 2 ** 20;

export interface ServiceOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly openEngine: (() => Promise<Engine>) | undefined;
  readonly credentials: Credentials | undefined;
}

/** The parts that answer requests. A server has one of each. */
export interface Services {
  readonly catalog: Catalog;
  readonly engines: EngineHost;
  readonly handlers: Handlers;
  readonly hosts: Hosts;
  readonly metrics: Metrics;
  readonly models: ServedModels;
  readonly pictures: OpenPictures;
  readonly stores: readonly TileStore[];
  readonly uploads: Uploads;
  /** Ends everything; running requests fail. */
  close(): Promise<void>;
}

/** What a server needs and what may fail to open. */
interface Opened {
  readonly remotes: Remotes;
  readonly models: ServedModels;
  readonly catalog: Catalog;
  readonly stores: readonly TileStore[];
}

/**
 * Puts a server together from its settings. Rejects with SourceError if a root is not there, and as
 * `readModel` does.
 */
export async function openServices(options: ServiceOptions): Promise<Services> {
  const { config, log, openEngine, credentials } = options;
  const metrics = new Metrics();
  const lines = new RepeatedLines(log);
  // libvips' own cache would keep pixels of replaced files, and more threads gain nothing on tiles.
  sharp.cache(false);
  sharp.concurrency(1);

  // Parts that may fail are opened before parts that would have to be closed.
  const remotes = new Remotes(config, credentials, (remote, reason) =>
    lines.write(
      'warn',
      `${remote} ${reason}`,
      { remote, reason },
      'a remote refuses a file: requests get 404',
    ),
  );
  const models = await ServedModels.open(config.models);
  if (openEngine === undefined || models.all.length > 0) await loadExactEngines();
  let services: Services | undefined;
  const catalog = await Catalog.open({
    roots: config.roots,
    plain: config.plain,
    watch: config.watch,
    onWarning: (message) => log.warn(message),
    onChange: (count) => {
      log.debug({ pictures: count }, 'catalog read');
      services?.pictures.closeOld();
    },
  });
  const stores = await openStores(config, metrics, log).catch(async (error: unknown) => {
    await catalog.close();
    throw error;
  });
  if (config.allowUpload && catalog.directory !== undefined)
    removeUnfinished(catalog.directory).then((files) => {
      if (files > 0) log.info({ files }, 'unfinished files of encodings that were killed are removed');
    });
  services = assemble(options, metrics, lines, { remotes, models, catalog, stores });
  return services;
}

function assemble(options: ServiceOptions, metrics: Metrics, lines: RepeatedLines, opened: Opened): Services {
  const { config, log } = options;
  const { remotes, models, catalog, stores } = opened;
  const engines = hostEngines(options, models, metrics);
  const admission = openAdmission(config, metrics);
  const resampling = new ResamplePool(Math.max(1, Math.ceil(config.threads / 2)));
  const levels = new PlainLevels(config.plainCacheMb * MB);
  const pictures = new OpenPictures({
    catalog,
    remotes,
    engines,
    remoteFreshMs: config.remoteFreshMs,
    plain: {
      levels,
      resampling,
      maxPixels: config.maxPlainPixels,
      maxFileBytes: 256 * MB,
      admit: (lane, work, bytes, signal) => admission.enter(lane, work, bytes, signal),
    },
  });
  const encoding = new Encoding({
    threads: config.encodingThreads,
    quality: config,
    onDied: (err) => log.error({ err }, 'a thread that encodes images has died and is replaced'),
  });
  const service = new RenderService({
    admission,
    metrics,
    quality: config,
    encoding,
    cacheBytes: config.tileCacheMb * MB,
    stores,
    maxWork: config.maxWork,
    timeoutMs: config.timeoutMs,
    resampling,
  });
  const hosts = new Hosts(config);
  const descriptions = new Descriptions(catalog, pictures);
  const handlers = new Handlers({
    catalog,
    pictures,
    descriptions,
    engines,
    service,
    hosts,
    limits: {
      maxWidth: config.maxOutputSide,
      maxHeight: config.maxOutputSide,
      maxArea: config.maxOutputArea,
    },
    upload: config.allowUpload,
    onDamaged: (id, err) =>
      lines.write('warn', `${id} ${messageOf(err)}`, { picture: id, err }, 'picture cannot be served'),
  });
  const uploads = new Uploads({
    catalog,
    engines,
    maxBytes: config.uploadMb * MB,
    maxPixels: config.maxPlainPixels,
    infoOf: (id, signal) => descriptions.ofId(id, signal),
    onFailed: (id, { isFault }, err) =>
      log[isFault ? 'error' : 'warn']({ id, err }, 'an uploaded image was not encoded'),
  });
  metrics.watchAdmission(admission);
  metrics.watchStores(stores);
  metrics.watchPictures(() => catalog.size);
  metrics.watchCaches(() => ({ images: service.counts, plain: levels, ...engines.caches }));

  return {
    catalog,
    engines,
    handlers,
    hosts,
    metrics,
    models,
    pictures,
    stores,
    uploads,
    close: () =>
      closeAll([
        // Waiting requests are answered first, and the engine goes when nobody uses it any more.
        () => service.close(),
        () => uploads.close(),
        () => catalog.close(),
        () => pictures.close(),
        () => levels.close(stopping()),
        () => resampling.close(),
        () => encoding.close(),
        () => engines.close(),
        () => remotes.close(),
        ...stores.map((store) => () => store.close()),
      ]),
  };
}

function hostEngines(
  { config, log, openEngine }: ServiceOptions,
  models: ServedModels,
  metrics: Metrics,
): EngineHost {
  return new EngineHost({
    openEngine: (model) => (!model && openEngine ? openEngine() : openServerEngine(config, model)),
    models: models.all,
    featureCacheBytes: config.featureCacheMb * MB,
    latentCacheBytes: config.latentCacheMb * MB,
    pixelCacheBytes: config.pixelCacheMb * MB,
    onReplaced: (reason) => {
      metrics.replaced.inc();
      log.error({ reason }, 'engine failed and is replaced');
    },
    onUnopened: (err) => log.error({ err }, 'no engine can be opened'),
    onBatch: (requests) => metrics.batches.observe(requests),
  });
}

function openAdmission(config: Config, metrics: Metrics): Admission {
  return new Admission({
    lanes: {
      tile: { running: config.threads * 2 + 2, waiting: config.tileQueue, maxWaitMs: config.maxWaitMs },
      region: {
        running: Math.max(1, Math.floor(config.threads / 2)),
        waiting: config.regionQueue,
        maxWaitMs: config.maxWaitMs * 3,
      },
      // Plain images may be large, so few are decoded at a time.
      decode: {
        running: Math.min(4, Math.max(1, Math.floor(config.threads / 2))),
        waiting: config.tileQueue,
        maxWaitMs: config.maxWaitMs * 3,
      },
      // Each holds a file of up to 256 MB in memory.
      open: { running: 2, waiting: Math.max(config.tileQueue, 1000), maxWaitMs: config.maxWaitMs * 3 },
    },
    regionBytes: config.regionMemoryMb * MB,
    firstPace: 1 / config.threads,
    onShed: (lane, reason) => metrics.shed.inc({ lane, reason }),
  });
}
