import { browserModelCache } from '../src/network/browser-cache.ts';
import type { ModelCache } from '../src/network/decoder-model.ts';
import { packedFileOf, unpackDecoderPart } from '../src/network/packed-part.ts';

/** A host that sends nothing for so long has got stuck. */
const STALLED_MS = 15_000;

type OnProgress = (loaded: number, total: number) => void;

/**
 * The weights that this browser keeps, or else those that lie packed beside `model`, the address of the model file. Where a host has none, or breaks off, there
 * are none: they are then read from the model file. `onProgress` counts packed bytes.
 */
export function keptOrPacked(model: string, onProgress: OnProgress): ModelCache {
  return {
    ...browserModelCache,
    async get(decoderHash) {
      const kept = await browserModelCache.get(decoderHash);
      if (kept) return kept;
      const address = new URL(packedFileOf(decoderHash), model);
      const part = await fetchPacked(address, onProgress).catch(() => undefined);
      // Whatever is kept is checked whenever it is used.
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
    // It is kept by its hash instead.
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
