import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SourceError } from '../errors.ts';
import { type AppOptions, createApp, type LiifApp } from './app.ts';
import { type HealthPort, openHealthPort } from './health/health-port.ts';

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
  const { host, port, stopMs, healthPort } = app.config;
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
  try {
    if (healthPort !== undefined) health = await openHealthPort({ host, port: healthPort });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port, host, backlog: 4096 }, resolve);
    });
  } catch (cause) {
    await health?.close();
    await app.close();
    if (cause instanceof SourceError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new SourceError(
      code === 'EADDRINUSE' ? `port ${port} is taken by another program` : `${host}:${port}: ${message}`,
      { cause },
    );
  }
  const address = server.address() as AddressInfo;
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  let stopping: Promise<void> | undefined;
  const urlOf = (at: number) => `http://${shown.includes(':') ? `[${shown}]` : shown}:${at}/`;
  const localUrl = urlOf(address.port);
  return {
    app,
    server,
    url: app.config.publicUrl ?? localUrl,
    localUrl,
    ...(health && { healthUrl: urlOf(health.port) }),
    stop() {
      stopping ??= (async () => {
        app.drain();
        health?.set('draining');
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeIdleConnections();
        // Connections that finish their request now are closed as they become idle.
        const idle = setInterval(() => server.closeIdleConnections(), 100);
        const timer = setTimeout(() => server.closeAllConnections(), stopMs);
        await closed;
        clearInterval(idle);
        clearTimeout(timer);
        await app.close();
        await health?.close();
      })();
      return stopping;
    },
  };
}
