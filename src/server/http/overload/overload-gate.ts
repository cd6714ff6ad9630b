import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Metrics } from '../../metrics.ts';
import { Problem, problemDocument } from '../../problem.ts';
import { toOriginForm } from '../request/request-target.ts';
import { LoopWatch } from './loop-watch.ts';
import { Shedding } from './shedding.ts';

const LOOK_MS = 50;
/** Time between two lines of the log while requests are refused. */
const LOG_MS = 10_000;
const RETRY_SECONDS = 1;
const BODY = JSON.stringify(
  problemDocument(new Problem(503, 'overloaded', 'The server is busy; try again soon.')),
);
/** Addresses for balancers and monitoring always pass. */
const ALWAYS = /^\/(health|ready|metrics)\/?(\?|$)/;

export interface OverloadGateOptions {
  readonly maxTurnMs: number;
  readonly allowOrigin: string;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/**
 * Stands before an application. While the event loop cannot keep up, it refuses a part of the requests with
 * an answer that costs next to nothing. Connections stay open, because each new one waits for a turn of the
 * loop to be accepted. The gate's timer stops when no requests come.
 */
export function overloadGate(options: OverloadGateOptions, app: RequestListener): RequestListener {
  const shedding = new Shedding(options.maxTurnMs);
  const answered = options.metrics.requests.labels({ route: 'refused', status: 503 });
  const shed = options.metrics.shed.labels({ lane: 'all', reason: 'event-loop' });
  const headers = [
    ['Content-Type', 'application/problem+json; charset=utf-8'],
    ['Content-Length', String(Buffer.byteLength(BODY))],
    ['Cache-Control', 'no-store'],
    ['Retry-After', String(RETRY_SECONDS)],
    ['Access-Control-Allow-Origin', options.allowOrigin],
    ['Access-Control-Expose-Headers', 'Retry-After'],
    ['Cross-Origin-Resource-Policy', 'cross-origin'],
    ['X-Content-Type-Options', 'nosniff'],
  ].flat();

  const watch = new LoopWatch();
  let looking: NodeJS.Timeout | undefined;
  let refused = 0;
  let lastLog = Number.NEGATIVE_INFINITY;

  function look(): void {
    const seen = watch.look();
    shedding.look(seen);
    if (refused > 0 && performance.now() - lastLog >= LOG_MS) report();
    if (seen.requests > 0 || shedding.part < 1) return;
    if (refused > 0) report();
    clearInterval(looking);
    looking = undefined;
  }

  function report(): void {
    options.log.warn({ refused }, 'requests are refused: the event loop is busy all the time');
    refused = 0;
    lastLog = performance.now();
  }

  function refuse(request: IncomingMessage, response: ServerResponse): void {
    refused++;
    answered.inc();
    shed.inc();
    // The next request would come behind a body that nobody reads.
    if (request.method !== 'GET' && request.method !== 'HEAD') response.shouldKeepAlive = false;
    response.writeHead(503, headers);
    response.end(BODY);
  }

  return (request, response) => {
    if (looking === undefined) {
      watch.begin();
      looking = setInterval(look, LOOK_MS).unref();
    }
    watch.count(request.socket);
    toOriginForm(request);
    if (ALWAYS.test(request.url ?? '') || shedding.passes()) app(request, response);
    else refuse(request, response);
  };
}
