import { serveThread } from './thread.ts';

// A Web Worker that is one of an engine's threads: it gets a memory that they share.
const handle = serveThread((message, transfer) => postMessage(message, { transfer }));
addEventListener('message', ({ data }) => handle(data));
