import { round, sat16 } from '../network/fixed-point.ts';
import type { Head } from '../network/model.ts';

/** c of spec 4.4: the pixel's size in sites enters the hidden vector. */
export function cellTerm(head: Head, cellRow: number, cellColumn: number): Int16Array {
  const term = new Int16Array(head.hidden);
  for (let k = 0; k < head.hidden; k++) {
    const sum = head.cellRowWeight[k]! * cellRow + head.cellColumnWeight[k]! * cellColumn;
    term[k] = sat16(round(sum, head.cellShift));
  }
  return term;
}
