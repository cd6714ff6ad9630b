import { messageOf } from '../errors.ts';

/** Closes all, one after the other, whichever of them fail. Rejects with what one has failed with, or with an AggregateError that names them all. */
export async function closeAll(closings: readonly (() => unknown)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closings) {
    try {
      await close();
    } catch (failure) {
      failures.push(failure);
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) {
    const reasons = failures.map(messageOf);
    throw new AggregateError(failures, reasons.join('; '));
  }
}
