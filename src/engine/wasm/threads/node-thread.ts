import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { encodeChunk } from '../../../entropy/chunk.ts';
import { serveThread } from './thread.ts';

export interface NodeThreadData {
  readonly niceness: number;
}

const { niceness } = workerData as NodeThreadData;
// Only Linux has priorities of single threads; elsewhere this would be the whole process.
if (niceness > 0 && process.platform === 'linux') setPriority(0, niceness);

const handle = serveThread((message, transfer) => parentPort?.postMessage(message, transfer), encodeChunk);
parentPort?.on('message', handle);
