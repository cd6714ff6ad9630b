import type { ModelCache } from './decoder-model.ts';

const NAME = 'liif-models';

/** Weights in the browser's Cache API, by decoder hash. */
export const browserModelCache: ModelCache = {
  async get(decoderHash) {
    try {
      const found = await (await caches.open(NAME)).match(addressOf(decoderHash));
      return found && new Uint8Array(await found.arrayBuffer());
    } catch {
      // Not there in insecure or private pages.
      return undefined;
    }
  },
  async put(decoderHash, part) {
    try {
      const cache = await caches.open(NAME);
      await cache.put(addressOf(decoderHash), new Response(part as Uint8Array<ArrayBuffer>));
    } catch {
      // No room, or no cache: it is loaded again next time.
    }
  },
};

/** The cache wants addresses; nothing is ever fetched from this one. */
function addressOf(decoderHash: string): string {
  return new URL(`/liif-model/${decoderHash}`, location.origin).href;
}
