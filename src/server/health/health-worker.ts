import { createServer } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import { listen } from '../connections/listen.ts';
import type { HealthData, HealthMessage } from './health-port.ts';
import { Heartbeat } from './heartbeat.ts';

const { buffer, host, port, staleMs } = workerData as HealthData;
const heartbeat = new Heartbeat(buffer);
const say = (message: HealthMessage) => parentPort?.postMessage(message);

const server = createServer(
  { requestTimeout: 5000, headersTimeout: 5000, maxHeaderSize: 8192 },
  (request, response) => {
    const { ageMs, state } = heartbeat;
    const alive = ageMs < staleMs;
    const path = request.url?.split('?', 1)[0];
    const asked = request.method === 'GET' || request.method === 'HEAD';
    const known = asked && (path === '/health' || path === '/ready');
    const well = alive && (path === '/health' || state === 'ready');
    const body = known
      ? { status: alive ? state : 'stuck', uptimeSeconds: process.uptime(), heartbeatMs: Math.round(ageMs) }
      : { status: 'unknown', paths: ['/health', '/ready'] };
    const text = JSON.stringify(body);
    response.writeHead(known ? (well ? 200 : 503) : 404, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(text),
      'Cache-Control': 'no-store',
    });
    response.end(request.method === 'HEAD' ? undefined : text);
  },
);
server.maxConnections = 1000;
listen(server, 'health port', { host, port }).then(
  (found) => say({ kind: 'listening', port: found }),
  (error: Error) => say({ kind: 'failed', message: error.message }),
);
