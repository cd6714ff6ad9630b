import type { encodeChunk } from '../../../entropy/chunk.ts';
import type { Thread } from './host.ts';
import { type FromThread, serveThread, type ToThread } from './thread.ts';

/**
 * How long a program runs before other work, and an abort, get their turn. In browsers each turn costs 4 ms,
 * the least delay of a timer.
 */
const SLICE_MS = 50;

/**
 * The calling thread, acting as a thread: one message at a time, with other work between messages and between
 * the slices of a program.
 */
export function startLocalThread(encode?: typeof encodeChunk): Thread {
  let answer: (message: FromThread) => void = () => {};
  let closed = false;
  const handle = serveThread((message) => answer(message), encode, SLICE_MS);
  const post = (message: ToThread) =>
    void setTimeout(() => {
      if (!closed && !handle(message)) post(message);
    }, 0);
  return {
    post,
    onMessage(callback) {
      answer = callback;
    },
    onFailure() {},
    async terminate() {
      closed = true;
    },
    hold() {},
  };
}
