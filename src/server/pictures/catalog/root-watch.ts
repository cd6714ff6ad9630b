import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';

/** Time between two looks at whether the root is still the same. */
const LOOK_MS = 1000;

/**
 * Notices when a root disappears, when something else takes its place, and when a link to it is changed. Watches of the system follow a directory or file
 * wherever it is moved, and do not report such changes of the path.
 */
export class RootWatch {
  readonly #named: string;
  /** Real path of `#named`. */
  #path: string;
  readonly #onChange: () => void;
  readonly #onWarning: ((message: string) => void) | undefined;
  readonly #timer: NodeJS.Timeout;
  /** Undefined while nothing is there. */
  #identity: string | undefined;
  #looking: Promise<void> | undefined;
  #closed = false;

  /** A root as it was when it was read: `path` is where `named` led. */
  constructor(
    { named, path, identity }: { readonly named: string; readonly path: string; readonly identity: string },
    onChange: () => void,
    onWarning?: (message: string) => void,
  ) {
    this.#named = named;
    this.#path = path;
    this.#identity = identity;
    this.#onChange = onChange;
    this.#onWarning = onWarning;
    this.#timer = setInterval(() => this.#lookOnce(), LOOK_MS).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** While a file system does not answer, it is not asked again. */
  #lookOnce(): void {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
  }

  async #look(): Promise<void> {
    const before = this.#identity;
    const path = await realpath(this.#named).catch(() => this.#path);
    const now = await stat(this.#named).then(identityOf, () => undefined);
    if (this.#closed || (now === before && path === this.#path)) return;
    this.#identity = now;
    if (now === undefined)
      this.#onWarning?.(`${this.#named} has gone; what it had is served again when it is back`);
    else {
      this.#path = path;
      if (before === undefined) this.#onWarning?.(`${this.#named} is back`);
    }
    this.#onChange();
  }
}

/** Identifies a directory or file and its permissions, whatever it holds. The time of birth is in it because inode numbers are used again. */
export function identityOf({ dev, ino, birthtimeMs, mode, uid, gid }: Stats): string {
  return [dev, ino, birthtimeMs, mode, uid, gid].join('/');
}
