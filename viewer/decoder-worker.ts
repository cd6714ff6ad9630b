// The entry of the worker is nothing but this: where a file that comes later imports it, as bundlers have it, WebKit runs it a second time, and two decoders
// would answer.
import type { ToDecoder } from './decoder-messages.ts';
import { trustOwnScripts } from './trusted-types.ts';

trustOwnScripts();
const early: ToDecoder[] = [];
let take = (message: ToDecoder): unknown => early.push(message);
addEventListener('message', ({ data }: MessageEvent<ToDecoder>) => take(data));

import('./decoder.ts').then(
  (decoder) => {
    take = decoder.take;
    early.forEach(take);
  },
  (error) => {
    // Not as a rejection, which would not reach the page.
    setTimeout(() => {
      throw error;
    });
  },
);
