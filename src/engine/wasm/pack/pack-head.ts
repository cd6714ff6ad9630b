import { cellTerm } from '../../../head/query.ts';
import type { Head } from '../../../network/model.ts';

/**
 * Bytes of the head's tensors as the kernel `head` reads them. Every query has a copy, since the cell term is
 * part of them.
 */
export function headByteLength(head: Head): number {
  return 6 * 2 * head.hidden + 16;
}

/**
 * Writes rowWeight, columnWeight, cell term, outputWeight, outputBias (with the rounding of spec 4.5) at
 * `address`.
 */
export function writeHead(
  head: Head,
  cellRow: number,
  cellColumn: number,
  depth: 8 | 16,
  buffer: ArrayBufferLike,
  address: number,
): void {
  const { hidden } = head;
  const vectors = new Int16Array(buffer, address, 6 * hidden);
  vectors.set(head.rowWeight, 0);
  vectors.set(head.columnWeight, hidden);
  vectors.set(cellTerm(head, cellRow, cellColumn), 2 * hidden);
  vectors.set(head.outputWeight, 3 * hidden);
  const rounding = 1 << (headShift(head, depth) - 1);
  const bias = new Int32Array(buffer, address + 12 * hidden, 3);
  for (let o = 0; o < 3; o++) bias[o] = head.outputBias[o]! + rounding;
}

/** s, or s - 8, of spec 4.5. */
export function headShift(head: Head, depth: 8 | 16): number {
  return depth === 16 ? head.outputShift - 8 : head.outputShift;
}
