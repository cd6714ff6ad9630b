import { RequestError } from '../errors.ts';
import type { CdfTables } from '../network/model.ts';

/** The present frequencies of a table weigh as much as so many counted symbols. */
const PRIOR_WEIGHT = 60;
const MIN_SYMBOL = -32768;
const MAX_SYMBOL = 32767;

/** Counts how often each symbol is coded with each table. */
export class SymbolCounts {
  readonly #tables: Map<number, number>[] = [];

  /** By table: symbol -> count. The list ends with the last table that was used. */
  get tables(): readonly ReadonlyMap<number, number>[] {
    return this.#tables;
  }

  /**
   * Counts latents, by the table and the symbol (int16) of each. Throws RequestError for arrays of different
   * lengths and for values out of range.
   */
  add(indices: ArrayLike<number>, symbols: ArrayLike<number>): void {
    if (indices.length !== symbols.length)
      throw new RequestError(`Expected ${indices.length} symbols but received ${symbols.length}`);
    for (let i = 0; i < symbols.length; i++) {
      const symbol = symbols[i]!;
      if (!(Number.isInteger(symbol) && symbol >= MIN_SYMBOL && symbol <= MAX_SYMBOL))
        throw new RequestError(`Expected symbols of 16 bits but received ${symbol}`);
      const counts = this.#of(indices[i]!);
      counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
    }
  }

  #of(table: number): Map<number, number> {
    if (!(Number.isInteger(table) && table >= 0))
      throw new RequestError(`Expected a table but received ${table}`);
    while (this.#tables.length <= table) this.#tables.push(new Map());
    return this.#tables[table]!;
  }
}

/**
 * Fits CDF tables (spec 3.9) to counted symbols; their structure stays. `counts`: by table, symbol -> count.
 * Counts are made symmetrical, and the present frequencies join them with the weight of 60 symbols. So empty
 * tables stay as they are, and those without counts, too. Every other table codes its symbols in the fewest
 * bits that frequencies of at least 1 and of sum 2^precision allow.
 */
export function refitTables(tables: CdfTables, counts: readonly ReadonlyMap<number, number>[]): CdfTables {
  const frequency = new Int16Array(tables.frequency.length);
  for (let table = 0; table < tables.count; table++) {
    const [from, to] = [tables.start[table]!, tables.start[table + 1]!];
    const mass = massOf(tables, table, counts[table] ?? new Map());
    if (to > from) frequency.set(integerFrequencies(mass, 2 ** tables.precision), from);
  }
  return { ...tables, frequency };
}

/** Weight of each entry of a table, the bypass last: counts and present frequencies. */
function massOf(tables: CdfTables, table: number, counts: ReadonlyMap<number, number>): Float64Array {
  const present = tables.frequency.subarray(tables.start[table]!, tables.start[table + 1]!);
  const rawBits = tables.rawBits[table]!;
  const bypass = present.length - 1;
  const mass = Float64Array.from(present, (frequency) => (frequency * PRIOR_WEIGHT) / 2 ** tables.precision);
  const count = (symbol: number, times: number) => {
    const entry = (symbol >> rawBits) - tables.minimum[table]!;
    mass[entry >= 0 && entry < bypass ? entry : bypass]! += times;
  };
  for (const [symbol, times] of counts) {
    // The mirror image of n is -n. Where raw bits follow, high parts are mirrored: 0 becomes -1.
    const mirrored = rawBits === 0 ? Math.min(-symbol, MAX_SYMBOL) : -1 - symbol;
    count(symbol, times / 2);
    count(mirrored, times / 2);
  }
  return mass;
}

/**
 * Frequencies of at least 1 and of sum `total` that code symbols of these masses (any unit, not negative) in
 * the fewest bits. `total` is at least the number of masses. Each unit of a frequency saves fewer bits than
 * the unit before it. So units move from where they save least to where they save most, until none gains.
 */
export function integerFrequencies(mass: ArrayLike<number>, total: number): Int32Array {
  const count = mass.length;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += mass[i]!;
  const result = new Int32Array(count);
  for (let i = 0; i < count; i++) result[i] = Math.max(1, Math.floor((mass[i]! / sum) * total));
  let missing = total;
  for (const frequency of result) missing -= frequency;

  const gain = (i: number) => mass[i]! * Math.log1p(1 / result[i]!);
  const loss = (i: number) =>
    result[i]! > 1 ? mass[i]! * Math.log1p(1 / (result[i]! - 1)) : Number.POSITIVE_INFINITY;
  for (;;) {
    let [most, least] = [0, 0];
    for (let i = 1; i < count; i++) {
      if (gain(i) > gain(most)) most = i;
      if (loss(i) < loss(least)) least = i;
    }
    if (missing > 0) {
      result[most]!++;
      missing--;
    } else if (missing < 0) {
      result[least]!--;
      missing++;
    } else if (gain(most) > loss(least) * (1 + 1e-12)) {
      result[most]!++;
      result[least]!--;
    } else return result;
  }
}
