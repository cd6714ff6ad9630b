import { TileError } from './tile-source.ts';

/** The version of the picture that a tile server's answer was made of; null where the answer does not say. */
export function versionIn(response: Response): string | null {
  return response.headers.get('Picture-Version');
}

/**
 * A picture as it was when it was opened. Answers made of another picture, which has taken its place, are
 * refused.
 */
export class Edition {
  readonly #version: string | undefined;
  readonly #replaced = new AbortController();

  /** `version`: the server's name for it. */
  constructor(version?: string) {
    this.#version = version;
  }

  /** Aborted once another picture has been seen in its place. */
  get replaced(): AbortSignal {
    return this.#replaced.signal;
  }

  /**
   * Throws TileError where `version` is another one. Without a version, which a proxy may have removed, the
   * answer is believed.
   */
  check(version: string | null | undefined): void {
    if (typeof version === 'string' && version !== (this.#version ?? version)) throw this.replace();
  }

  /** Marks the picture as replaced, and returns the error to throw. */
  replace(): TileError {
    this.#replaced.abort();
    return new TileError('The picture has changed since it was opened.', { permanent: true, replaced: true });
  }
}
