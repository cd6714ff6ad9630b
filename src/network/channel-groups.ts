/**
 * The group of channels, 0..3, that `step` codes at a position: channels group*Cy/4 .. (group+1)*Cy/4 - 1.
 * Spec 3.6.
 */
export function groupAt(step: number, row: number, column: number): number {
  return (2 * (row & 1) + (column & 1) - step) & 3;
}
