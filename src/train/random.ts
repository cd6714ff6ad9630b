/** 0 <= x < 1. Random numbers that a seed repeats: "mulberry32", 2^32 states, plenty for choosing crops. */
export type Random = () => number;

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** low <= integer < high. */
export function integerBetween(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low));
}

export function shuffled<T>(values: readonly T[], random: Random): T[] {
  const result = [...values];
  for (let i = result.length - 1; i > 0; i--) {
    const j = integerBetween(random, 0, i + 1);
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}
