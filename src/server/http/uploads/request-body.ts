import type { IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';
import { onAbort } from '../../../on-abort.ts';
import { badRequest, Problem } from '../../problem.ts';

/** How slowly a body may come. */
interface Pace {
  /** Longest pause. */
  readonly idleMs: number;
  /** Longest time beyond what a body of its length takes at the least rate. */
  readonly graceMs: number;
  readonly bytesPerSecond: number;
}

const PACE: Pace = { idleMs: 30_000, graceMs: 60_000, bytesPerSecond: 4096 };
/** Longest time, after the answer, for the rest of a body that nobody reads. */
const UNREAD_MS = 60_000;

/**
 * Reads the body of a request, without a bound for its time as long as it keeps the pace. Rejects with the
 * signal's reason, and with Problem: 413 beyond `maxBytes`, 408 where the body comes too slowly, 400 where it
 * is empty, 500 where somebody has read it before. The rest of a refused body is thrown away, so that the
 * client gets to read its answer.
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
    // After a long turn of the event loop timers run before the bytes that came meanwhile are heard, so the
    // check waits for these.
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
 * For servers without a time limit for whole requests. Reads the rest of a body after the answer, and closes
 * the connection where that takes longer than `unreadMs`. With `Connection: close` Node would close it at
 * once, and many clients that cannot send on never read that their body is too large.
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

/** Delays the end of a connection that Node closes after the answer until the body has come. */
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
