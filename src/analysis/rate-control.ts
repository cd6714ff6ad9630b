/**
 * Finds the quality that meets a target by bisection: both size and PSNR rise with quality. At most 7 trials for 1..100, each a whole encode.
 */
export async function searchQuality<T>(
  trial: (quality: number) => Promise<T>,
  meets: (result: T) => boolean,
  /** Whether the wanted quality is the highest that meets the target (a size) or the lowest (a PSNR). */
  wanted: 'highest' | 'lowest',
  onTrial?: (trials: number, expected: number) => void,
): Promise<{ readonly quality: number; readonly result: T; readonly met: boolean }> {
  let low = 1;
  let high = 100;
  let best: { quality: number; result: T } | undefined;
  let nearest: { quality: number; result: T } | undefined;
  let trials = 0;
  while (low <= high) {
    onTrial?.(trials++, 7);
    const quality = (low + high) >> 1;
    const result = await trial(quality);
    const met = meets(result);
    if (met) best = { quality, result };
    else nearest = { quality, result };
    if (met === (wanted === 'highest')) low = quality + 1;
    else high = quality - 1;
  }
  // Without success the last trial was the extreme one: quality 1 for a size, 100 for a PSNR.
  const found = best ?? nearest!;
  return { ...found, met: best !== undefined };
}
