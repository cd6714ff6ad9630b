import type { Model } from '../network/model.ts';
import { quantize } from '../quantize/quantize.ts';
import { type CodingTables, codingTables, positionOf } from './cdf-table.ts';
import type { HyperRun, LatentRun, SymbolCoder, SymbolRun } from './chunk.ts';
import { rateSlopes, tableSlopes } from './rate-slope.ts';

/** Rounds an analysis output to the nearest symbols, and keeps them, with their tables, in coding order. */
export class RoundingCoder implements SymbolCoder {
  readonly tables: CodingTables;
  readonly indices: Uint8Array;
  readonly symbols: Int16Array;
  /** (h, w, Cy): `rateSlopes` of the latents' symbols. */
  readonly slopes: Int16Array;
  /** (h, w, Cy): their `tableSlopes`. */
  readonly tableSlopes: Int16Array;
  /** (hz, wz, Cz): `rateSlopes` of the hyper latents' symbols. */
  readonly hyperSlopes: Int16Array;
  readonly #rateSlopes: Int16Array;
  readonly #tableSlopes: Int16Array;
  readonly #analysis: Int16Array;
  readonly #model: Model;
  readonly #quality: number;
  /** Output of hyperAnalysis, (hz, wz, Cz). */
  readonly #hyper: Int16Array;
  #count = 0;

  constructor(analysis: Int16Array, hyper: Int16Array, symbolCount: number, quality: number, model: Model) {
    this.tables = codingTables(model.tables);
    this.indices = new Uint8Array(symbolCount);
    this.symbols = new Int16Array(symbolCount);
    this.slopes = new Int16Array(analysis.length);
    this.tableSlopes = new Int16Array(analysis.length);
    this.hyperSlopes = new Int16Array(hyper.length);
    this.#rateSlopes = rateSlopes(model.tables);
    this.#tableSlopes = tableSlopes(model.tables);
    this.#analysis = analysis;
    this.#model = model;
    this.#quality = quality;
    this.#hyper = hyper;
  }

  /** Plain rounding: the tables of all latents depend on these. */
  codeHyper(run: HyperRun): void {
    const { hyperChannels, hyper } = this.#model;
    const { indices, symbols } = run;
    const first = (this.#quality - 1) * hyperChannels;
    const from = run.row * symbols.length;
    for (let i = 0; i < symbols.length; i++) {
      const at = first + (i % hyperChannels);
      const table = indices[i]!;
      symbols[i] = 0;
      if (this.tables.base[table]! < 0) continue;
      const difference = this.#hyper[from + i]! * 2 ** hyper.stepBits - hyper.offset[at]!;
      const symbol = quantize(difference, hyper.step[at]!);
      symbols[i] = symbol;
      this.hyperSlopes[from + i] = this.#rateSlopes[positionOf(this.tables, table, symbol)]!;
    }
    this.#keep(run);
  }

  codeLatents(run: LatentRun): void {
    const { latentChannels, latent } = this.#model;
    const { indices, symbols, mean, from, channel } = run;
    const group = latentChannels / 4;
    const quantizer = (this.#quality - 1) * latentChannels;
    const unit = 2 ** latent.stepBits;
    for (let column = 0, i = 0; column < from.length; column++) {
      const at = from[column]!;
      const first = quantizer + channel[column]!;
      for (let k = 0; k < group; k++, i++) {
        const table = indices[i]!;
        symbols[i] = 0;
        if (this.tables.base[table]! < 0) continue;
        const difference = (this.#analysis[at + k]! - mean[at + k]!) * unit;
        const symbol = quantize(difference, latent.step[first + k]!);
        symbols[i] = symbol;
        const position = positionOf(this.tables, table, symbol);
        this.slopes[at + k] = this.#rateSlopes[position]!;
        this.tableSlopes[at + k] = this.#tableSlopes[position]!;
      }
    }
    this.#keep(run);
  }

  #keep({ indices, symbols }: SymbolRun): void {
    this.indices.set(indices, this.#count);
    this.symbols.set(symbols, this.#count);
    this.#count += symbols.length;
  }
}
