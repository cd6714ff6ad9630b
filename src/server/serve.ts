import { createServer, type Server } from 'node:http';
import { type AppOptions, checkOptions, createApp, type LiifApp } from './app.ts';
import { closeAll } from './close-all.ts';
import { Connections } from './connections.ts';
import { type HealthPort, openHealthPort } from './health/health-port.ts';
import { boundUnreadBodies } from './http/request-body.ts';
import { listen } from './listen.ts';
import { mostConnections } from './most-connections.ts';
import { dropUnreadAnswers } from './unread-answers.ts';

/** A server that listens. */
export interface RunningServer {
  readonly app: LiifApp;
  readonly server: Server;
  /** What to open in a browser. */
  readonly url: string;
  /** Where it listens on this machine. */
  readonly localUrl: string;
  /** Where /health and /ready are answered beside it, if a health port was asked for. */
  readonly healthUrl?: string;
  /**
   * Answers what has been sent so far, then ends; requests that take longer than `stopMs` get 503. Rejects with what closing has failed with, when
   * everything else is closed.
   */
  stop(): Promise<void>;
}

/**
 * Opens the health port, creates the application and listens. Until then the health port says `starting`: many pictures take long to find. Rejects with
 * SourceError where a port is taken, and as `createApp` does.
 */
export async function serve(options: AppOptions): Promise<RunningServer> {
  const { config, log } = checkOptions(options);
  const { host, stopMs, healthPort } = config;
  const server = createServer({
    keepAlive: true,
    // Of a whole request: a large image takes longer, and is given up only when it stops coming.
    requestTimeout: config.allowUpload ? 0 : 60_000,
    headersTimeout: 20_000,
    // Longer than proxies keep theirs, usually 60 s, or they send a request into a connection that is being closed.
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16_384,
  });
  server.maxConnections = mostConnections();
  dropUnreadAnswers(server, 120_000);
  if (config.allowUpload) boundUnreadBodies(server);
  const connections = new Connections(server);
  let health: HealthPort | undefined;
  let app: LiifApp | undefined;
  let port: number;
  const state = () => {
    const now = app?.state() ?? 'starting';
    // The application is ready before its port is.
    return now === 'ready' && !server.listening ? 'starting' : now;
  };
  try {
    if (healthPort !== undefined) health = await openHealthPort({ host, port: healthPort, state, log });
    app = await createApp({ ...options, logger: log });
    server.on('request', app.guarded);
    port = await listen(server, 'port', { host, port: config.port, backlog: 4096 });
  } catch (error) {
    // What closing may fail with is not why it did not start.
    await Promise.allSettled([health?.close(), app?.close()]);
    throw error;
  }
  health?.beat();
  server.on('error', (err) => log.error({ err, port }, 'a connection could not be accepted'));
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  const urlOf = (at: number) => `http://${shown.includes(':') ? `[${shown}]` : shown}:${at}/`;
  const localUrl = urlOf(port);
  const url = config.publicUrl ?? localUrl;
  const healthUrl = health && urlOf(health.port);
  let stopping: Promise<void> | undefined;
  return {
    app,
    server,
    url,
    localUrl,
    ...(healthUrl !== undefined && { healthUrl }),
    stop() {
      stopping ??= (async () => {
        app.drain();
        health?.beat();
        // Its failure is told below; meanwhile nobody waits for it.
        await connections.end(stopMs, () => void app.close().catch(() => {}));
        await closeAll([() => app.close(), () => health?.close()]);
      })();
      return stopping;
    },
  };
}
