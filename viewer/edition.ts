import { TileError } from './tile-source.ts';

/** The version of the picture that an answer of a tile server was made of; null where nobody tells. */
export function versionIn(response: Response): string | null {
  return response.headers.get('Picture-Version');
}

/** A picture as it was when it was opened: what is made of another one, that has taken its place, is refused. */
export class Edition {
  readonly #version: string | undefined;
  readonly #replaced = new AbortController();

  /** `version`: what the server calls it. */
  constructor(version?: string) {
    this.#version = version;
  }

  /** Aborted when it has been seen that another picture is in its place. */
  get replaced(): AbortSignal {
    return this.#replaced.signal;
  }

  /** Throws TileError where `version` is another one. A proxy may have kept it back; then the answer is believed. */
  check(version: string | null | undefined): void {
    if (typeof version === 'string' && version !== (this.#version ?? version)) throw this.replace();
  }

  /** Says that there is another picture. What comes back is to be thrown. */
  replace(): TileError {
    this.#replaced.abort();
    return new TileError('The picture has changed since it was opened.', { permanent: true, replaced: true });
  }
}
