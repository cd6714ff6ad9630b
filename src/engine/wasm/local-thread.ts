import type { Thread } from './host.ts';
import { type FromThread, serveThread, type ToThread } from './thread.ts';

/** The calling thread in the part of a thread: one message at a time, other work between them. */
export function startLocalThread(): Thread {
  let answer: (message: FromThread) => void = () => {};
  let closed = false;
  const handle = serveThread((message) => answer(message));
  return {
    post(message: ToThread) {
      setTimeout(() => {
        if (!closed) handle(message);
      }, 0);
    },
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
