import { createServer, type Server } from 'node:http';
import { type AppOptions, createApp, type LiifApp } from './app.ts';
import { type HealthPort, openHealthPort } from './health/health-port.ts';
import { listen } from './listen.ts';

export interface RunningServer {
  readonly app: LiifApp;
  readonly server: Server;
  /** What to open in a browser. */
  readonly url: string;
  /** Where it listens on this machine. */
  readonly localUrl: string;
  /** Where /health and /ready are answered beside it, if a health port was asked for. */
  readonly healthUrl?: string;
  /** Stops accepting, lets running requests finish for `stopMs`, then ends. */
  stop(): Promise<void>;
}

/** Creates the application and listens. Rejects with SourceError where the port is taken, and as `createApp` does. */
export async function serve(options: AppOptions): Promise<RunningServer> {
  const app = await createApp(options);
  const { config, log } = app;
  const { host, stopMs, healthPort } = config;
  const server = createServer(
    {
      keepAlive: true,
      requestTimeout: 60_000,
      headersTimeout: 20_000,
      // Longer than proxies keep theirs, usually 60 s, or they send a request into a connection that is being closed.
      keepAliveTimeout: 65_000,
      maxHeaderSize: 16_384,
    },
    app.guarded,
  );
  // Connections beyond what the queues can hold only cost memory.
  server.maxConnections = 10_000;
  let health: HealthPort | undefined;
  let port: number;
  /** The application is ready before its port is. */
  const state = () => (app.state() === 'ready' && !server.listening ? 'starting' : app.state());
  try {
    if (healthPort !== undefined) health = await openHealthPort({ host, port: healthPort, state, log });
    port = await listen(server, 'port', { host, port: config.port, backlog: 4096 });
  } catch (error) {
    // What closing may fail with is not why it did not start.
    await Promise.allSettled([health?.close(), app.close()]);
    throw error;
  }
  health?.beat();
  server.on('error', (err) => log.error({ err, port }, 'a connection could not be accepted'));
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  const urlOf = (at: number) => `http://${shown.includes(':') ? `[${shown}]` : shown}:${at}/`;
  const localUrl = urlOf(port);
  const url = config.publicUrl ?? localUrl;
  const healthUrl = health && urlOf(health.port);
  // A person at a terminal is told by the command, in words.
  if (!process.stdout.isTTY) log.info({ url, localUrl, healthUrl }, 'listening');
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
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeIdleConnections();
        // Connections that finish their request now are closed as they become idle.
        const idle = setInterval(() => server.closeIdleConnections(), 100);
        const timer = setTimeout(() => server.closeAllConnections(), stopMs);
        await closed;
        clearInterval(idle);
        clearTimeout(timer);
        try {
          await app.close();
        } finally {
          await health?.close();
        }
      })();
      return stopping;
    },
  };
}
