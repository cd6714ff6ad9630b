/**
 * Finds the quality that meets a target: both size and PSNR rise with quality. By bisection, at most 7 trials for 1..100, each a whole encode; or from a
 * quality that is likely near, in steps that double until the answer lies between two.
 */
export async function searchQuality<T>(
  trial: (quality: number) => Promise<T>,
  meets: (result: T) => boolean,
  /** Whether the wanted quality is the highest that meets the target (a size) or the lowest (a PSNR). */
  wanted: 'highest' | 'lowest',
  onTrial?: () => void,
  near?: number,
): Promise<{ readonly quality: number; readonly result: T; readonly met: boolean }> {
  let low = 1;
  let high = 100;
  let best: { quality: number; result: T } | undefined;
  let nearest: { quality: number; result: T } | undefined;
  let quality = near ?? (low + high) >> 1;
  for (let step = 1; ; step *= 2) {
    onTrial?.();
    const result = await trial(quality);
    const met = meets(result);
    if (met) best = { quality, result };
    else nearest = { quality, result };
    const up = met === (wanted === 'highest');
    if (up) low = quality + 1;
    else high = quality - 1;
    if (low > high) break;
    const bracketed = best !== undefined && nearest !== undefined;
    if (near === undefined || bracketed) quality = (low + high) >> 1;
    else quality = up ? Math.min(high, quality + step) : Math.max(low, quality - step);
  }
  // Without success the last trial was the extreme one: quality 1 for a size, 100 for a PSNR.
  const found = best ?? nearest!;
  return { ...found, met: best !== undefined };
}
