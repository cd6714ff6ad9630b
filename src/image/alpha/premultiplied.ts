import type { Raster } from '../raster.ts';
import { inTurns } from '../turns.ts';

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
