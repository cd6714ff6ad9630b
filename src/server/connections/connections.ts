import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';

/** Time between two looks at connections and requests. */
const LOOK_MS = 25;
/** After so many looks in a row without anything new, all that was sent before has arrived. */
const QUIET_LOOKS = 2;
/** Part of the time to end in which new connections are accepted, if they keep coming. */
const ACCEPTING = 0.25;
/** Time for clients to take the answers of work that was cut off. */
const LAST_ANSWERS_MS = 500;
/** Longest time in which a client takes none of the bytes that wait for it. */
const UNREAD_MS = 120_000;

/**
 * Knows the connections of a server, so that it can end without failing a request. Create it before the
 * server listens. `server.close()` alone would reset connections whose next request is already here, and
 * those that the kernel has accepted and the event loop, which takes one a turn, has not.
 *
 * Drops connections whose client has taken none of the waiting bytes for `unreadMs`. Those with an answer
 * that has no bytes waiting stay: it is still being made, or is an event stream without news.
 */
export class Connections {
  readonly #server: Server;
  /** Open connections with their unfinished answers, in the order of the requests. */
  readonly #open = new Map<Socket, Set<ServerResponse>>();
  /** Connections and requests so far. */
  #arrivals = 0;
  #ending = false;

  constructor(server: Server, unreadMs = UNREAD_MS) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#arrivals++;
      this.#open.set(socket, new Set());
      // An answer that waits for another one of its connection gets no 'close' of its own.
      socket.once('close', () => this.#open.delete(socket));
    });
    server.on('request', (request, response: ServerResponse) => {
      this.#arrivals++;
      if (this.#ending) response.shouldKeepAlive = false;
      const answers = this.#open.get(request.socket);
      answers?.add(response);
      response.once('close', () => answers?.delete(response));
    });
    server.setTimeout(unreadMs, (socket) => {
      if (this.#open.get(socket)?.size && socket.writableLength === 0) socket.setTimeout(unreadMs);
      else socket.destroy();
    });
  }

  /**
   * Ends the server; resolves when no connection is left. From now on each answer closes its connection. New
   * connections are accepted until none comes any more, for a quarter of `ms` at most. After `ms`, `cutOff`
   * has to make all unfinished answers end at once; connections that are left half a second later are reset.
   */
  async end(ms: number, cutOff: () => void): Promise<void> {
    this.#ending = true;
    const over = performance.now() + ms;
    for (const answers of this.#open.values()) {
      // The last answer of pipelined requests closes the connection.
      const last = [...answers].at(-1);
      if (last && !last.headersSent) last.shouldKeepAlive = false;
    }
    await this.#quiet(performance.now() + ms * ACCEPTING);
    this.#server.close();
    // Browsers open connections before they need them.
    for (const socket of this.#open.keys()) if (socket.bytesRead === 0) socket.destroy();
    if (await this.#gone(over)) return;
    cutOff();
    if (await this.#gone(performance.now() + LAST_ANSWERS_MS)) return;
    this.#server.closeAllConnections();
    await this.#gone(Number.POSITIVE_INFINITY);
  }

  /** Resolves when nothing has come for a while. */
  async #quiet(until: number): Promise<void> {
    for (let looks = 0; looks < QUIET_LOOKS && performance.now() < until; ) {
      const before = this.#arrivals;
      await pause(LOOK_MS);
      // One more turn: even after a late timer the loop has asked the kernel for new connections.
      await turn();
      looks = this.#arrivals === before ? looks + 1 : 0;
    }
  }

  /** Waits until all connections have ended, and tells whether they have by then. */
  async #gone(until: number): Promise<boolean> {
    while (this.#open.size > 0 && performance.now() < until) {
      this.#server.closeIdleConnections();
      await pause(LOOK_MS);
    }
    return this.#open.size === 0;
  }
}
