import { box, HEAD_BYTES } from '../metadata/heif-boxes.ts';
import { withParts } from '../metadata/parts.ts';
import type { Raster } from '../raster.ts';
import { inTurns } from '../turns.ts';

/** Whether colors of an AVIF or HEIC are multiplied by alpha, which sharp passes over: a reference `prem` (ISO/IEC 23008-12, 6.4.1). */
export function isPremultiplied(image: string | Uint8Array): Promise<boolean> {
  return withParts(image, async (parts) => {
    try {
      const head = await parts(0, HEAD_BYTES);
      const meta = box(head, 'meta', 0, head.byteLength);
      const references = meta && box(head, 'iref', meta.from + 4, meta.to);
      return references !== undefined && box(head, 'prem', references.from + 4, references.to) !== undefined;
    } catch (error) {
      if (error instanceof RangeError) return false; // it goes on beyond what is there
      throw error;
    }
  });
}

/** Divides colors by alpha, where they lie. Rejects with the signal's reason. */
export async function unpremultiply({ data, channels }: Raster, signal?: AbortSignal): Promise<void> {
  const peak = data instanceof Uint16Array ? 65535 : 255;
  await inTurns(data.length, channels, signal, (from, to) => {
    for (let i = from; i < to; i += channels) {
      const alpha = data[i + channels - 1]!;
      if (alpha === 0) continue;
      for (let c = i; c < i + channels - 1; c++)
        data[c] = Math.min(peak, Math.round((data[c]! * peak) / alpha));
    }
  });
}
