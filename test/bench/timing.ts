/** Times of one piece of work, in seconds. */
export interface Timing {
  readonly min: number;
  readonly mean: number;
  readonly deviation: number;
  readonly runs: number;
}

/**
 * Calls several pieces of work in turn until each has run for `seconds`, and at least `minRuns` times. In
 * turn, so that other load on the machine slows all of them. Compare the least times.
 */
export async function timeInTurn(
  works: readonly (() => unknown)[],
  { seconds, minRuns, warmUps }: { seconds: number; minRuns: number; warmUps: number },
): Promise<Timing[]> {
  const times = works.map((): number[] => []);
  for (let i = 0; i < warmUps; i++) for (const work of works) await work();
  const spent = works.map(() => 0);
  while (spent.some((time, i) => time < seconds || times[i]!.length < minRuns)) {
    for (const [i, work] of works.entries()) {
      const start = performance.now();
      const result = work();
      if (result instanceof Promise) await result;
      const time = (performance.now() - start) / 1000;
      times[i]!.push(time);
      spent[i]! += time;
    }
  }
  return times.map((all) => {
    const mean = all.reduce((a, b) => a + b, 0) / all.length;
    const square = all.reduce((sum, time) => sum + (time - mean) ** 2, 0) / all.length;
    return { min: Math.min(...all), mean, deviation: Math.sqrt(square), runs: all.length };
  });
}
