import type { RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests of one connection that are being answered; those sent after them wait. */
export const MAX_RUNNING = 16;
/** Requests of one connection that have no answer yet. */
export const MAX_SENT = 128;
/** Bytes of answers that wait on a connection, beyond which none of its further requests is begun. */
const MAX_UNSENT_BYTES = 2 ** 20;

interface Line {
  readonly running: Set<ServerResponse>;
  readonly waiting: { readonly response: ServerResponse; readonly begin: () => void }[];
}

/**
 * Stands before an application, and bounds what a client gets by sending requests without waiting for
 * answers: few are begun at a time, and the connection is closed after too many. Node by itself hands over
 * all requests that it reads, a thousand at a time, and goes on reading while answers are small or still to
 * come.
 */
export function boundPipelining(listener: RequestListener): RequestListener {
  const lines = new WeakMap<Socket, Line>();

  function lineOf(socket: Socket): Line {
    let line = lines.get(socket);
    if (line === undefined) {
      line = { running: new Set(), waiting: [] };
      lines.set(socket, line);
    }
    return line;
  }

  function advance(socket: Socket, { running, waiting }: Line): void {
    if (socket.destroyed) waiting.length = 0;
    while (waiting.length > 0 && mayBegin(running)) {
      const { response, begin } = waiting.shift()!;
      running.add(response);
      begin();
    }
  }

  return (request, response) => {
    const { socket } = request;
    // The request was read before the connection was closed.
    if (socket.destroyed) return;
    const line = lineOf(socket);
    if (line.running.size + line.waiting.length >= MAX_SENT) {
      line.waiting.length = 0;
      socket.destroy();
      return;
    }
    response.once('close', () => {
      line.running.delete(response);
      advance(socket, line);
    });
    line.waiting.push({ response, begin: () => listener(request, response) });
    advance(socket, line);
  };
}

function mayBegin(running: ReadonlySet<ServerResponse>): boolean {
  if (running.size >= MAX_RUNNING) return false;
  let unsent = 0;
  for (const { writableLength } of running) unsent += writableLength;
  return unsent < MAX_UNSENT_BYTES;
}
