import { problemOf } from '../problem.ts';

/** How long a failure is believed. */
const REMEMBERED_MS = 3000;
const MOST = 1000;
/** What asking again at once does not change: of the file, and of a remote that does not give it. */
const LASTING: ReadonlySet<string> = new Set([
  'address-refused',
  'damaged-file',
  'not-found',
  'remote-failed',
  'remote-slow',
  'unsupported-file',
]);

/** What opening has failed with, for a few seconds: strangers may ask again and again, and finding out may take long, here or at a remote. */
export class Failures {
  readonly #failed = new Map<string, { readonly error: unknown; readonly until: number }>();
  readonly #ms: number;

  constructor(ms = REMEMBERED_MS) {
    this.#ms = Math.min(ms, REMEMBERED_MS);
  }

  /** Throws what opening under this key has failed with a short while ago. */
  check(key: string): void {
    const failed = this.#failed.get(key);
    if (failed === undefined) return;
    if (performance.now() < failed.until) throw failed.error;
    this.#failed.delete(key);
  }

  /** Rejects as `open` does, and remembers it where it would fail again. */
  async remember<T>(key: string, open: () => Promise<T>): Promise<T> {
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
