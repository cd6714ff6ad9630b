import { createServer, type Server } from 'node:http';
import { type AppOptions, checkOptions, createApp, type LiifApp } from './app.ts';
import { closeAll } from './close-all.ts';
import { Connections } from './connections/connections.ts';
import { listen } from './connections/listen.ts';
import { mostConnections } from './connections/most-connections.ts';
import { type HealthPort, openHealthPort } from './health/health-port.ts';
import { boundUnreadBodies } from './http/uploads/request-body.ts';

/** A server that listens. */
export interface RunningServer {
  readonly app: LiifApp;
  readonly server: Server;
  /** Address of the viewer, for a browser. */
  readonly url: string;
  /** Where it listens on this machine. */
  readonly localUrl: string;
  /** Address of the health port, if the settings ask for one. */
  readonly healthUrl?: string;
  /**
   * Answers all requests sent so far, then ends. Requests that take longer than `stopMs` get 503. If closing
   * a part fails, rejects with that failure when all others are closed.
   */
  stop(): Promise<void>;
}

/**
 * Opens the health port, creates the application and listens. Until the main port listens, the health port
 * says `starting`: finding many pictures takes long. Rejects with SourceError if a port is taken, and as
 * `createApp` does.
 */
export async function serve(options: AppOptions): Promise<RunningServer> {
  const { config, log } = checkOptions(options);
  const { host, stopMs, healthPort } = config;
  const server = createServer({
    keepAlive: true,
    // For a whole request. Uploads may take longer: `boundUnreadBodies` ends those that stop coming.
    requestTimeout: config.allowUpload ? 0 : 60_000,
    headersTimeout: 20_000,
    // Longer than that of proxies, usually 60 s: otherwise they send requests into connections that are being
    // closed.
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16_384,
  });
  server.maxConnections = mostConnections();
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
    // A failure to close would hide why the server did not start.
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
        // `closeAll` below reports a failure.
        await connections.end(stopMs, () => void app.close().catch(() => {}));
        await closeAll([() => app.close(), () => health?.close()]);
      })();
      return stopping;
    },
  };
}
