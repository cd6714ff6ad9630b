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

/** Where a PSNR is looked for that quality 100 lacks, from above: small and flat pictures have their best one somewhere below it. */
const BELOW_THE_TOP = [99, 98, 97, 95, 93, 90, 87, 84, 81, 78, 75, 70];
/** As long as results are not short by more qualities than this. */
const NEARLY = 8;

/**
 * Finds the quality that meets a target: both size and PSNR rise with quality, but for small and flat pictures, where it is a quality near that one. Each trial is a
 * whole encode, the first one at `first`; the next one is where the target lies by what the trials before it have given. Four or so for 1..100, some more before a PSNR
 * is given up that quality 100 nearly has. What does not meet the target is the nearest of what was tried.
 */
export async function searchQuality<T>(
  trial: (quality: number) => Promise<T>,
  target: Target<T>,
  onTrial?: () => void,
  first = 50,
): Promise<Trial<T> & { readonly met: boolean }> {
  const { wanted, meets, shortBy } = target;
  const tried: Trial<T>[] = [];
  const at = async (quality: number): Promise<Trial<T>> => {
    onTrial?.();
    tried.push({ quality, result: await trial(quality) });
    return tried.at(-1)!;
  };
  /** Qualities that are not decided yet. */
  let low = 1;
  let high = 100;
  let below: Trial<T> | undefined;
  let above: Trial<T> | undefined;
  let quality = first;
  let before: Trial<T> | undefined;
  for (let trials = 1; ; trials++) {
    const now = await at(quality);
    if (meets(now.result) === (wanted === 'highest')) {
      below = now;
      low = quality + 1;
    } else {
      above = now;
      high = quality - 1;
    }
    if (low > high) break;
    const other = (now === below ? above : below) ?? before;
    const short = shortBy(now.result);
    // Qualities for each by which results are short: one, if that is known.
    const rate = other ? (quality - other.quality) / (shortBy(other.result) - short) : 1;
    const guess = quality + Math.round(short * rate);
    quality =
      trials <= GUESSES && Number.isFinite(guess) ? Math.min(high, Math.max(low, guess)) : (low + high) >> 1;
    before = now;
  }
  const best = wanted === 'highest' ? below : above;
  if (best) return { ...best, met: true };
  if (wanted === 'lowest') {
    for (const lower of BELOW_THE_TOP) {
      if (Math.abs(shortBy(tried.at(-1)!.result)) > NEARLY) break;
      if (tried.some((one) => one.quality === lower)) continue;
      const now = await at(lower);
      if (meets(now.result)) return { ...now, met: true };
    }
  }
  const nearest = tried.reduce((near, one) =>
    Math.abs(shortBy(one.result)) < Math.abs(shortBy(near.result)) ? one : near,
  );
  return { ...nearest, met: false };
}
