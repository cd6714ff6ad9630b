import { type Channels, hasAlpha, type Raster, samplesLike } from '../raster.ts';
import { Turns } from '../turns.ts';

/**
 * Whether nothing shows through, in some samples of whole pixels or all of them: every alpha is the maximum,
 * or there is none.
 */
export function isOpaque({ channels, data }: Raster, from = 0, to = data.length): boolean {
  if (!hasAlpha(channels)) return true;
  const peak = data instanceof Uint16Array ? 65535 : 255;
  for (let i = from + channels - 1; i < to; i += channels) if (data[i] !== peak) return false;
  return true;
}

/**
 * A copy without alpha if alpha is opaque everywhere, as in most screenshots: coded, alpha would cost bytes
 * and time, and not come back quite opaque. Otherwise the raster itself. Rejects with the signal's reason.
 */
export async function withoutOpaqueAlpha(raster: Raster, signal?: AbortSignal): Promise<Raster> {
  const { width, height, channels, data } = raster;
  if (!hasAlpha(channels)) return raster;
  const turns = new Turns(signal);
  const row = width * channels;
  for (let y = 0; y < height; y++) {
    if (turns.over) await turns.next();
    if (!isOpaque(raster, y * row, (y + 1) * row)) return raster;
  }
  const colors = channels - 1;
  const plain = samplesLike(data, width * height * colors);
  for (let y = 0, to = 0; y < height; y++) {
    if (turns.over) await turns.next();
    for (let i = y * row; i < (y + 1) * row; i += channels)
      for (let c = 0; c < colors; c++) plain[to++] = data[i + c]!;
  }
  return { ...raster, channels: colors as Channels, data: plain };
}
