import type { encodeChunk } from '../../entropy/chunk.ts';
import type { Thread } from './host.ts';
import { type FromThread, serveThread, type ToThread } from './thread.ts';

/** How long other work, and word of an abort, waits for a program. Timers that follow each other come 4 ms late in browsers. */
const SLICE_MS = 50;

/** The calling thread in the part of a thread: one message at a time, other work between them and between the slices of a program. */
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
