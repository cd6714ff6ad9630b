/** A size or a PSNR that a file shall have. */
export interface Target<T> {
  /** Which of the qualities that meet the target is wanted: the highest for a size, the lowest for a PSNR. */
  readonly wanted: 'highest' | 'lowest';
  readonly meets: (result: T) => boolean;
  /**
   * How many qualities a result lies below the target, about; negative above it. It decides only how many
   * trials are needed.
   */
  readonly shortBy: (result: T) => number;
}

/** Differences from one quality to the next, about, for photographs. */
const DECIBELS_PER_QUALITY = 0.14;
const NATS_PER_QUALITY = 0.028;

/** At most so many bytes. */
export function sizeTarget(most: number): Target<{ readonly bytes: Uint8Array }> {
  return {
    wanted: 'highest',
    meets: ({ bytes }) => bytes.length <= most,
    // Twice the difference over the sum approximates the logarithm of the ratio, and is the same on every
    // machine.
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

/**
 * Trials whose quality is interpolated from earlier results. Further ones halve the range, whatever the
 * results look like.
 */
const GUESSES = 4;

/**
 * Qualities that are tried for a PSNR that quality 100 does not reach: small and flat pictures have their
 * highest PSNR somewhere below.
 */
const BELOW_THE_TOP = [99, 98, 97, 95, 93, 90, 87, 84, 81, 78, 75, 70];
/** They are tried as long as results miss the target by no more qualities than this. */
const NEARLY = 8;

/**
 * Finds the quality that meets a target. Size and PSNR rise with quality; in small and flat pictures PSNR
 * does not always, and the result is a quality near the best one. Each trial is a whole encode. The first is
 * at quality `first`, and each further one where earlier results put the target: about four in all, some more
 * before a PSNR is given up that quality 100 nearly reaches. Where no trial meets the target, the nearest one
 * is given.
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
  /** Range of the qualities that are not decided yet. */
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
    // Qualities per unit of `shortBy`: 1 after a single trial.
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
