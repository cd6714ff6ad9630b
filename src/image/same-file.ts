import { realpath } from 'node:fs/promises';
import { RequestError } from '../errors.ts';
import { pathOf } from '../file-url.ts';

/** Whether two paths lead to one file that exists. */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  try {
    return (await realpath(a)) === (await realpath(b));
  } catch {
    return false; // one of them does not exist, or is no file
  }
}

/**
 * Rejects with RequestError where `input` is a file, and `output` leads to it: nothing is written over what
 * it is made from.
 */
export async function expectOther(input: unknown, output: string): Promise<void> {
  const isPlace = typeof input === 'string' || (input instanceof URL && input.protocol === 'file:');
  if (isPlace && (await isSameFile(pathOf(input), output)))
    throw new RequestError(`${output}: is the input; name another file`);
}
