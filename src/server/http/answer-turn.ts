import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Who waits for the end of a connection: with one listener for all of them, or Node would warn of a leak. */
const waiting = new WeakMap<Socket, Set<() => void>>();

/**
 * Calls `over` once, when an answer is closed or its connection is. Node tells only the answer whose turn it is that the connection has ended: those of
 * requests that were sent without waiting never hear of it.
 */
export function onAnswerOver({ socket }: IncomingMessage, response: ServerResponse, over: () => void): void {
  const answers = waiting.get(socket) ?? listen(socket);
  const once = () => {
    if (answers.delete(once)) over();
  };
  answers.add(once);
  response.once('close', once);
}

function listen(socket: Socket): Set<() => void> {
  const answers = new Set<() => void>();
  waiting.set(socket, answers);
  socket.once('close', () => {
    for (const over of answers) over();
  });
  return answers;
}

/** Acts when the connection is the answer's own: never, if it ends before. For what express sends: it closes files only with connections that it has seen. */
export function inTurn(response: ServerResponse, act: () => void): void {
  if (response.socket === null) response.once('socket', act);
  else act();
}
