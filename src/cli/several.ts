import { isLiifError } from '../errors.ts';
import { titleOf } from './inputs.ts';
import { interruption } from './interruption.ts';
import type { Job } from './jobs.ts';
import type { Terminal } from './terminal.ts';

/** A failure whose message names the input. */
export class InputFailure extends Error {
  constructor(title: string, cause: Error) {
    super(`${title}: ${cause.message}`, { cause });
  }
}

/** Thrown when failed inputs have been reported already. `cause` is the first failure, for the exit code. */
export class ReportedFailure extends Error {
  constructor(cause: unknown) {
    super('some inputs failed', { cause });
  }
}

/** Runs `work`. An error of the library that does not name the input becomes an InputFailure. */
export async function naming<T>(title: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isLiifError(error) || error.message.startsWith(`${title}:`)) throw error;
    throw new InputFailure(title, error);
  }
}

/**
 * Does `work` for one input after the other. A failure is reported, and the next input follows; an
 * interruption ends the loop. Rejects with ReportedFailure.
 */
export async function forEachInput<T extends string | Job>(
  inputs: readonly T[],
  terminal: Terminal,
  work: (input: T) => Promise<void>,
): Promise<void> {
  const signal = interruption();
  let failure: ReportedFailure | undefined;
  for (const input of inputs) {
    signal.throwIfAborted();
    try {
      await naming(titleOf(typeof input === 'string' ? input : input.input), () => work(input));
    } catch (error) {
      signal.throwIfAborted();
      if (inputs.length === 1) throw error;
      terminal.error(error);
      failure ??= new ReportedFailure(error);
    }
  }
  if (failure) throw failure;
}
