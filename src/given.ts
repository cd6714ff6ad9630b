/** What callers give, looked at before anything is done with it: TypeScript refuses what is wrong, JavaScript does not. */
import { RequestError, shown } from './errors.ts';

/** Throws RequestError, which says what was given wrongly, what it may be, and what it was. */
export function refuse(name: string, expected: string, value: unknown): never {
  throw new RequestError(`${name}: expected ${expected} but received ${shown(value)}`);
}

/** Throws RequestError for what has no fields. */
export function expectObject(value: object, name: string): void {
  if (typeof value !== 'object' || value === null) refuse(name, 'an object', value);
}

/** Throws RequestError unless it is a function, or left out. */
export function expectListener(value: unknown, name: string): void {
  if (value != null && typeof value !== 'function') refuse(name, 'a function', value);
}

/** Throws RequestError for what is no engine, such as the name of one. */
export function expectEngine(engine: { readonly decodeChunk: unknown }): void {
  if (typeof engine?.decodeChunk !== 'function') refuse('engine', 'an engine of openEngine()', engine);
}

/**
 * A copy of the options of a call, so that what is changed in them afterwards does not count; null is no signal, as `fetch` has it. Throws RequestError where
 * they are no object, or their signal is none.
 */
export function givenOptions<T extends object>(options: T): T {
  expectObject(options, 'options');
  const { signal }: { signal?: Partial<AbortSignal> | null } = options;
  if (signal != null && !signal.throwIfAborted) refuse('signal', 'an AbortSignal', signal);
  return { ...options, signal: signal ?? undefined };
}

/** Throws RequestError for a buffer that another thread has been given. */
export function bytesOfBuffer(buffer: ArrayBuffer): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(buffer);
  } catch (cause) {
    throw new RequestError('Expected bytes but received a detached ArrayBuffer', { cause });
  }
}
