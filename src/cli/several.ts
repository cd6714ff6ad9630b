import { isLiifError } from '../errors.ts';
import { interruption } from './interruption.ts';
import type { Terminal } from './terminal.ts';

/** A failure whose message names the input. */
export class InputFailure extends Error {
  override readonly cause: unknown;
  constructor(title: string, cause: Error) {
    super(`${title}: ${cause.message}`);
    this.cause = cause;
  }
}

/** Thrown when failed inputs have been reported already. `cause` is the first failure, for the exit code. */
export class ReportedFailure extends Error {
  override readonly cause: unknown;
  constructor(cause: unknown) {
    super('some inputs failed');
    this.cause = cause;
  }
}

/** Runs `work`. An error of the library that does not name the input becomes an InputFailure. */
export async function naming<T>(title: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isLiifError(error) || error.message.includes(title)) throw error;
    throw new InputFailure(title, error);
  }
}

/** Does `work` for one input after the other. A failure is reported, and the next input follows; an interruption ends the loop. Rejects with ReportedFailure. */
export async function forEachInput<T>(
  inputs: readonly T[],
  titleOf: (input: T) => string,
  terminal: Terminal,
  work: (input: T) => Promise<void>,
): Promise<void> {
  const signal = interruption();
  let failed: { readonly error: unknown } | undefined;
  for (const input of inputs) {
    signal.throwIfAborted();
    try {
      await naming(titleOf(input), () => work(input));
    } catch (error) {
      signal.throwIfAborted();
      if (inputs.length === 1) throw error;
      terminal.error(error);
      failed ??= { error };
    }
  }
  if (failed) throw new ReportedFailure(failed.error);
}
