import type { IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';
import { onAbort } from '../../on-abort.ts';
import { badRequest, Problem } from '../problem.ts';

/** How slowly a body may come. */
interface Pace {
  /** Longest pause. */
  readonly idleMs: number;
  /** Longest time beyond what a body of its length takes at the least rate. */
  readonly graceMs: number;
  readonly bytesPerSecond: number;
}

const PACE: Pace = { idleMs: 30_000, graceMs: 60_000, bytesPerSecond: 4096 };
/** How long the rest of a body may take that nobody reads, after the answer. */
const UNREAD_MS = 60_000;

/**
 * The body of a request, however long it takes as long as it comes. Rejects with Problem: 413 beyond `maxBytes`, 408 where it comes too slowly, 400 where
 * there is none, 500 where somebody has read it before; and with the signal's reason. What comes after that is thrown away, so that the client gets to read its answer.
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  signal: AbortSignal,
  { idleMs, graceMs, bytesPerSecond } = PACE,
): Promise<Buffer> {
  const tooLarge = () =>
    new Problem(413, 'too-large', `Images have at most ${maxBytes} bytes here.`, {
      members: { limit: maxBytes },
    });
  if (signal.aborted) return Promise.reject(signal.reason);
  if (request.readableEnded) {
    const detail = 'A body parser of the site has taken the body: the pictures have to be mounted before it.';
    return Promise.reject(new Problem(500, 'body-taken', detail));
  }
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    const tooSlow = (detail: string) => fail(new Problem(408, 'body-too-slow', detail));
    let settled = false;
    // When this loop was held, what came meanwhile is heard only after the timers.
    const heard = (check: () => void) => void setImmediate(() => settled || check());
    const idle = setTimeout(() => {
      const before = length;
      heard(() => {
        if (length === before) tooSlow(`Nothing of the body has come for ${idleMs / 1000} s.`);
      });
    }, idleMs);
    // What has come so far buys time.
    const begun = performance.now();
    const look = () => {
      const left = begun + graceMs + (1000 * length) / bytesPerSecond - performance.now();
      if (left > 0) pace = setTimeout(() => heard(look), left);
      else tooSlow(`The body comes at less than ${bytesPerSecond} bytes a second.`);
    };
    let pace = setTimeout(() => heard(look), graceMs);
    const over = () => {
      settled = true;
      clearTimeout(idle);
      clearTimeout(pace);
      forget();
      request.off('data', onData).off('end', onEnd).off('error', fail);
    };
    const fail = (reason: unknown) => {
      over();
      reject(reason);
    };
    const onData = (part: Buffer) => {
      idle.refresh();
      length += part.length;
      if (length > maxBytes) fail(tooLarge());
      else parts.push(part);
    };
    const onEnd = () => {
      over();
      if (length > 0) resolve(Buffer.concat(parts, length));
      else reject(badRequest('empty-body', 'The body is empty; send the bytes of an image.'));
    };
    const forget = onAbort(signal, () => fail(signal.reason));
    request.on('data', onData).on('end', onEnd).on('error', fail);
  });
}

/**
 * Reads what comes of a body after the answer, and ends connections on which that comes too slowly: for servers without a bound for whole requests. Node would
 * close those at once that a client wants closed, and many clients that cannot send on never read that their body is too large.
 */
export function boundUnreadBodies(server: Server, unreadMs = UNREAD_MS): void {
  server.on('request', (request, response) => {
    closeBehindBody(request);
    response.once('finish', () => {
      if (request.complete) return;
      const { socket } = request;
      const timer = setTimeout(() => socket.destroy(), unreadMs).unref();
      const over = () => clearTimeout(timer);
      request.once('end', over);
      socket.once('close', over);
    });
  });
}

/** Where Node would destroy the connection after the answer: not before the body has come. */
function closeBehindBody(request: IncomingMessage): void {
  const { socket, headers } = request;
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return;
  const close = () => Socket.prototype.destroySoon.call(socket);
  socket.destroySoon = () => {
    if (request.complete) return close();
    socket.end();
    request.once('end', close);
  };
}
