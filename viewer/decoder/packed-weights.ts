import { browserModelCache } from '../../src/network/browser-cache.ts';
import type { ModelCache } from '../../src/network/decoder-model.ts';
import { packedFileOf, unpackDecoderPart } from '../../src/network/packed-part.ts';

/** A download without a byte for this long is given up. */
const STALLED_MS = 15_000;

type OnProgress = (loaded: number, total: number) => void;

/**
 * A cache of weights: those that this browser has kept, or else the packed ones that lie beside `model`, the
 * address of the model file. Where the host has no packed weights, or breaks off, the cache has none, and the
 * caller reads the model file. `onProgress` counts packed bytes.
 */
export function keptOrPacked(model: string, onProgress: OnProgress): ModelCache {
  return {
    ...browserModelCache,
    async get(decoderHash) {
      const kept = await browserModelCache.get(decoderHash);
      if (kept) return kept;
      const address = new URL(packedFileOf(decoderHash), model);
      const part = await fetchPacked(address, onProgress).catch(() => undefined);
      // Unchecked: the hash is compared whenever kept weights are used.
      if (part) void browserModelCache.put(decoderHash, part);
      return part;
    },
  };
}

async function fetchPacked(address: URL, onProgress: OnProgress): Promise<Uint8Array | undefined> {
  const stalled = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stalled.abort(), STALLED_MS);
  };
  try {
    wait();
    // The browser's HTTP cache would keep them a second time.
    const { ok, body, headers } = await fetch(address, { cache: 'no-store', signal: stalled.signal });
    if (!ok || !body) return undefined;
    const total = Number(headers.get('content-length'));
    let loaded = 0;
    const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(bytes, out) {
        wait();
        loaded += bytes.length;
        if (loaded <= total) onProgress(loaded, total);
        out.enqueue(bytes);
      },
    });
    return await unpackDecoderPart(body.pipeThrough(counted));
  } finally {
    clearTimeout(timer);
  }
}
