import { EngineError, messageOf } from '../errors.ts';

/**
 * sharp, loaded by the first image that is read or written: programs that do neither run without its addon.
 * Rejects with EngineError where it is not installed, or may not be loaded.
 */
export async function loadSharp() {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new EngineError(`Not installed as it should be: ${messageOf(cause)}`, { cause });
  }
}
