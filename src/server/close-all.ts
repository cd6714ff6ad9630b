import { messageOf } from '../errors.ts';

/**
 * Calls all, one after the other, even if some fail. Rejects with the failure, or with an AggregateError of
 * several.
 */
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
