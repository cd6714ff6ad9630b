import { parentPort } from 'node:worker_threads';
import { serveThread } from './thread.ts';

const handle = serveThread((message, transfer) => parentPort?.postMessage(message, transfer));
parentPort?.on('message', handle);
