import type { RequestListener } from 'node:http';
import express, { type Express } from 'express';
import { type Logger, pino } from 'pino';
import type { Engine } from '../engine/engine.ts';
import { kindOf, RequestError } from '../errors.ts';
import { expectListener, expectObject, refuse } from '../given.ts';
import { type Config, type ConfigInput, checkConfig } from './config.ts';
import { boundPipelining } from './connections/pipelining.ts';
import { errorAnswer } from './http/answer/error-answer.ts';
import { securityHeaders } from './http/answer/security-headers.ts';
import { viewerDirectory, viewerFiles } from './http/answer/viewer-files.ts';
import { overloadGate } from './http/overload/overload-gate.ts';
import { optionsAnswer } from './http/request/methods.ts';
import { requestTarget } from './http/request/request-target.ts';
import { requestContext } from './http/request-context.ts';
import { router, type ServerState } from './http/router.ts';
import { standardError } from './log-output.ts';
import type { Credentials } from './pictures/remotes.ts';
import { openServices } from './services.ts';

/** Settings of the server, as `readConfig` takes them, and options that only programs can give. */
export interface AppOptions extends ConfigInput {
  /** Directories and files to serve. */
  readonly roots: readonly string[];
  /**
   * Opens the engine of the released model, instead of the one that the settings name. Called again when that
   * engine has died. The server closes the engines. The settings still decide on the engines of `models`.
   */
  readonly openEngine?: () => Promise<Engine>;
  /** Default: lines of JSON on standard error, from `logLevel` on. */
  readonly logger?: Logger;
  /** Keys of the S3 service; without them requests are not signed. */
  readonly credentials?: Credentials;
  /** Directory of the built viewer; default: that of the package. */
  readonly viewer?: string;
}

/** An Express application: mount it, or listen. */
export type LiifApp = Express & {
  readonly config: Config;
  readonly log: Logger;
  /**
   * The application behind a gate that refuses requests early while the event loop cannot keep up: mount it
   * instead of the application, or give it to `createServer`.
   */
  readonly guarded: RequestListener;
  /** The state that /ready gives. */
  state(): ServerState;
  /** Answers /ready with 503 from now on, so that balancers go elsewhere. */
  drain(): void;
  /** Ends everything; running requests fail. */
  close(): Promise<void>;
};

/**
 * Splits options into the settings in force, the log, and the rest. Throws RequestError on wrong settings.
 */
export function checkOptions(options: AppOptions) {
  expectObject(options, 'options');
  const { openEngine, logger, credentials, viewer, ...input } = options;
  const { roots } = input;
  // A string would pass for a list of letters.
  if (!Array.isArray(roots))
    throw new RequestError(`Expected roots as a list of directories and files but received ${kindOf(roots)}`);
  for (const root of roots)
    if (typeof root !== 'string') refuse('roots', 'paths of directories and files', root);
  expectListener(openEngine, 'openEngine');
  const config = checkConfig(input);
  const log = logger ?? pino({ level: config.logLevel }, standardError());
  return { openEngine, credentials, viewer, config, log };
}

/**
 * The tile server as an Express application: `express().use('/pictures', await createApp({ roots: ['photos'] }))`.
 * Rejects with RequestError on wrong settings, with SourceError if a root or a model file is not there, and
 * with FormatError or UnsupportedError if a model file cannot be used.
 */
export async function createApp(options: AppOptions): Promise<LiifApp> {
  const { openEngine, credentials, viewer, config, log } = checkOptions(options);
  const services = await openServices({ config, log, openEngine, credentials });
  let state: ServerState = 'ready';
  let closing: Promise<void> | undefined;
  const stateNow = () => (state === 'ready' && !services.engines.healthy ? 'no-engine' : state);

  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.use(requestContext(services.metrics, log, config));
  app.use(securityHeaders(config.publicUrl?.startsWith('https:') ?? false, config.frameAncestors));
  app.use(requestTarget());
  app.use(optionsAnswer(config.allowUpload));
  const directory = viewerDirectory(viewer);
  if (directory !== undefined) app.use(viewerFiles(directory, services.hosts, services.catalog));
  app.use('/model', services.models.handler());
  app.use(router(services, config, stateNow));
  app.use(errorAnswer(log));

  return Object.assign(app, {
    config,
    log,
    guarded: boundPipelining(overloadGate({ ...config, metrics: services.metrics, log }, app)),
    state: stateNow,
    drain() {
      if (state === 'ready') state = 'draining';
    },
    close() {
      state = 'closed';
      closing ??= services.close();
      return closing;
    },
  });
}
