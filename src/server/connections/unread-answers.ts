import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Drops connections whose client has not taken any waiting bytes of an answer for `ms`. Connections without waiting bytes stay: answers that are still being
 * made, and event streams without news.
 */
export function dropUnreadAnswers(server: Server, ms: number): void {
  server.setTimeout(ms);
  server.on('request', (_request, response: ServerResponse) => {
    response.on('timeout', (socket: Socket) => {
      if (socket.writableLength > 0) socket.destroy();
      else socket.setTimeout(ms);
    });
  });
}
