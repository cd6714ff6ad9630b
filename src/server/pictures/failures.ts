import { problemOf } from '../problem.ts';

/** How long a failure is remembered. */
const REMEMBERED_MS = 3000;
const MOST = 1000;
/**
 * Codes of problems that an immediate second attempt would meet again: the file's, and those of a remote that
 * does not give it.
 */
const LASTING: ReadonlySet<string> = new Set([
  'address-refused',
  'damaged-file',
  'not-found',
  'remote-failed',
  'remote-slow',
  'unsupported-file',
]);

/**
 * Remembers for a few seconds what could not be opened, and why. Finding out may take long, here or at a
 * remote, and strangers may ask again and again.
 */
export class Failures {
  readonly #failed = new Map<string, { readonly error: unknown; readonly until: number }>();
  readonly #ms: number;

  constructor(ms = REMEMBERED_MS) {
    this.#ms = Math.min(ms, REMEMBERED_MS);
  }

  /**
   * Opens, and remembers a failure that would repeat itself. Rejects as `open` does, at once if that failed a
   * short while ago.
   */
  async open<T>(key: string, open: () => Promise<T>): Promise<T> {
    const failed = this.#failed.get(key);
    if (failed && performance.now() < failed.until) throw failed.error;
    try {
      return await open();
    } catch (error) {
      if (LASTING.has(problemOf(error).code)) this.#add(key, error);
      throw error;
    }
  }

  #add(key: string, error: unknown): void {
    this.#failed.delete(key);
    this.#failed.set(key, { error, until: performance.now() + this.#ms });
    for (const oldest of this.#failed.keys()) {
      if (this.#failed.size <= MOST) return;
      this.#failed.delete(oldest);
    }
  }
}
