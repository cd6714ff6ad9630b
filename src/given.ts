/**
 * Checks of what callers give, made before anything else: TypeScript refuses wrong values, JavaScript does
 * not.
 */
import { RequestError, shown } from './errors.ts';

/** Throws RequestError with the name of the option, what it may be, and what it was. */
export function refuse(name: string, expected: string, value: unknown): never {
  throw new RequestError(`${name}: expected ${expected} but received ${shown(value)}`);
}

/** Throws RequestError for a value that is not an object. */
export function expectObject(value: object, name: string): void {
  if (typeof value !== 'object' || value === null) refuse(name, 'an object', value);
}

/** Throws RequestError for a value that is not a function; undefined and null pass. */
export function expectListener(value: unknown, name: string): void {
  if (value != null && typeof value !== 'function') refuse(name, 'a function', value);
}

/** Throws RequestError for a value that is not an engine, such as the name of one. */
export function expectEngine(engine: { readonly decodeChunk: unknown }): void {
  if (typeof engine?.decodeChunk !== 'function') refuse('engine', 'an engine of openEngine()', engine);
}

/**
 * A copy of the options of a call, so that later changes have no effect. A signal of null becomes undefined,
 * as in `fetch`. Throws RequestError where the options are not an object, or the signal is not an
 * AbortSignal.
 */
export function givenOptions<T extends object>(options: T): T {
  expectObject(options, 'options');
  const { signal }: { signal?: Partial<AbortSignal> | null } = options;
  if (signal != null && !signal.throwIfAborted) refuse('signal', 'an AbortSignal', signal);
  return { ...options, signal: signal ?? undefined };
}

/**
 * The bytes of a buffer, not copied. Throws RequestError for a buffer that has been transferred to another
 * thread.
 */
export function bytesOfBuffer(buffer: ArrayBuffer): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(buffer);
  } catch (cause) {
    throw new RequestError('Expected bytes but received a detached ArrayBuffer', { cause });
  }
}
