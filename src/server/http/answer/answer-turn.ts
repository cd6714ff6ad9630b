import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * What is called at the end of each connection, by one listener: with a listener for each answer Node would
 * warn of a leak.
 */
const waiting = new WeakMap<Socket, Set<() => void>>();

/**
 * Calls `over` once, when an answer or its connection is closed. At the end of a connection Node closes only
 * the answer whose turn it is; answers to requests that were pipelined behind it never hear of it.
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

/**
 * Calls `act` when it is the answer's turn on its connection, and never if the connection ends before. Files
 * that express sends need it: express closes a file at the end of the connection only if the answer had one
 * at the start.
 */
export function inTurn(response: ServerResponse, act: () => void): void {
  if (response.socket === null) response.once('socket', act);
  else act();
}
