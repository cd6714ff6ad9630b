import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Drops connections on which bytes of an answer wait and none has been taken for `ms`. Answers that are still being made, and streams of events without
 * news, stay.
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
