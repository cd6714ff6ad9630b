/** A size or a PSNR that a file shall have. */
export interface Target<T> {
  /** Whether the highest quality that meets it is wanted (a size) or the lowest (a PSNR). */
  readonly wanted: 'highest' | 'lowest';
  readonly meets: (result: T) => boolean;
  /** By about how many qualities a result lies below the target; negative above it. Only how many trials are needed hangs on it. */
  readonly shortBy: (result: T) => number;
}

/** From one quality to the next, about, of photographs. */
const DECIBELS_PER_QUALITY = 0.14;
const NATS_PER_QUALITY = 0.028;

/** At most so many bytes. */
export function sizeTarget(most: number): Target<{ readonly bytes: Uint8Array }> {
  return {
    wanted: 'highest',
    meets: ({ bytes }) => bytes.length <= most,
    // Twice the difference over the sum is a logarithm near 1, and the same on every machine.
    shortBy: ({ bytes: { length } }) => (2 * (most - length)) / (most + length) / NATS_PER_QUALITY,
  };
}

/** At least this PSNR in dB. */
export function psnrTarget(least: number): Target<{ readonly psnr: number }> {
  return {
    wanted: 'lowest',
    meets: ({ psnr }) => psnr >= least,
    shortBy: ({ psnr }) => (least - psnr) / DECIBELS_PER_QUALITY,
  };
}

interface Trial<T> {
  readonly quality: number;
  readonly result: T;
}

/** Trials that are guessed from those before; then halves, whatever the results look like. */
const GUESSES = 4;

/**
 * Finds the quality that meets a target: both size and PSNR rise with quality. Each trial is a whole encode, the first one at `first`; the next one is where the target
 * lies by what the trials before it have given. Four or so for 1..100.
 */
export async function searchQuality<T>(
  trial: (quality: number) => Promise<T>,
  { wanted, meets, shortBy }: Target<T>,
  onTrial?: () => void,
  first = 50,
): Promise<Trial<T> & { readonly met: boolean }> {
  /** Qualities that are not decided yet. */
  let low = 1;
  let high = 100;
  let below: Trial<T> | undefined;
  let above: Trial<T> | undefined;
  let quality = first;
  let before: Trial<T> | undefined;
  for (let trials = 1; ; trials++) {
    onTrial?.();
    const tried = { quality, result: await trial(quality) };
    if (meets(tried.result) === (wanted === 'highest')) {
      below = tried;
      low = quality + 1;
    } else {
      above = tried;
      high = quality - 1;
    }
    if (low > high) break;
    const other = (tried === below ? above : below) ?? before;
    const short = shortBy(tried.result);
    // Qualities for each by which results are short: one, if that is known.
    const rate = other ? (quality - other.quality) / (shortBy(other.result) - short) : 1;
    const guess = quality + Math.round(short * rate);
    quality =
      trials <= GUESSES && Number.isFinite(guess) ? Math.min(high, Math.max(low, guess)) : (low + high) >> 1;
    before = tried;
  }
  const best = wanted === 'highest' ? below : above;
  // Without success the last trial was the extreme one: quality 1 for a size, 100 for a PSNR.
  return { ...(best ?? (below ?? above)!), met: best !== undefined };
}
