import { codingTables } from '../../../entropy/cdf-table.ts';
import type { Model } from '../../../network/model.ts';
import type { WasmHeap } from '../heap.ts';
import { place } from './pack-layer.ts';

/** Addresses of the tensors that decode symbols (kernels/chunk.ts). */
export interface PackedSymbols {
  readonly tables: number;
  /** [100][Cy] int32 each. */
  readonly deviationOffset: number;
  readonly step: number;
}

export function packSymbols({ tables, latent }: Model, heap: WasmHeap): PackedSymbols {
  const { precision, base, cumulative, coarse, origin, rawBits, bypass } = codingTables(tables);
  const frequencies = placeShorts(heap, cumulative);
  const header = Int32Array.of(precision, placeShorts(heap, coarse));
  const records = Array.from(base, (first, t) =>
    first < 0
      ? [0, 0, 0, 0]
      : [frequencies + 2 * first, frequencies + 2 * bypass[t]!, origin[t]! + first, rawBits[t]!],
  );
  return {
    tables: place(heap, Int32Array.from([...header, ...records.flat()])),
    deviationOffset: place(heap, latent.deviationOffset),
    step: place(heap, latent.step),
  };
}

function placeShorts(heap: WasmHeap, values: Uint16Array): number {
  const address = heap.allocate(values.byteLength);
  new Uint16Array(heap.memory.buffer, address, values.length).set(values);
  return address;
}
