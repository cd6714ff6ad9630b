import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';

/** Time between two looks at what has come and what has gone. */
const LOOK_MS = 25;
/** So many looks in a row that find nothing new, and whatever was sent before has arrived. */
const QUIET_LOOKS = 2;
/** The part of the time to end in which new connections are still accepted, if they keep coming. */
const ACCEPTING = 0.25;
/** How long those may take to take their answer whose work was cut off. */
const LAST_ANSWERS_MS = 500;

/**
 * The connections of a server that nobody listens to yet, so that it can end without failing anybody. `server.close()` alone would reset what the kernel
 * has accepted and this process has not, since the loop accepts one connection a turn; and connections whose next request is already here.
 */
export class Connections {
  readonly #server: Server;
  /** With their answers under way, in the order of the requests. */
  readonly #open = new Map<Socket, Set<ServerResponse>>();
  /** Connections and requests so far. */
  #arrivals = 0;
  #ending = false;

  constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#arrivals++;
      this.#open.set(socket, new Set());
      // Answers that wait for others of their connection are not told that it has ended: they go with it.
      socket.once('close', () => this.#open.delete(socket));
    });
    server.on('request', (request, response: ServerResponse) => {
      this.#arrivals++;
      if (this.#ending) response.shouldKeepAlive = false;
      const answers = this.#open.get(request.socket);
      answers?.add(response);
      response.once('close', () => answers?.delete(response));
    });
  }

  /**
   * Accepts until nothing comes any more, for a quarter of `ms` at most, and resolves when all has been answered and no connection is left. Answers
   * close their connection from now on. When `ms` are over, `cutOff` is to have those under way answered at once; connections that are left soon after
   * are reset.
   */
  async end(ms: number, cutOff: () => void): Promise<void> {
    this.#ending = true;
    const over = performance.now() + ms;
    for (const answers of this.#open.values()) {
      // Of requests that follow each other on a connection without waiting, the last.
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
      // However late the timer was: the loop has asked the kernel once more.
      await turn();
      looks = this.#arrivals === before ? looks + 1 : 0;
    }
  }

  /** Whether all connections have ended in time: when their answers are known to have gone, not when the server forgets them. */
  async #gone(until: number): Promise<boolean> {
    while (this.#open.size > 0 && performance.now() < until) {
      this.#server.closeIdleConnections();
      await pause(LOOK_MS);
    }
    return this.#open.size === 0;
  }
}
