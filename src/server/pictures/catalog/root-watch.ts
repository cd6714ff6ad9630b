import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';

/** A directory or file of the settings, as it was when it was looked at. */
export interface Root {
  /** As the settings name it: a link may lead elsewhere later. */
  readonly named: string;
  /** Real path. */
  readonly path: string;
  readonly directory: boolean;
  readonly identity: string;
}

/** Rejects where nothing is there. */
export async function rootAt(named: string): Promise<Root> {
  const path = await realpath(named);
  const stats = await stat(path);
  return { named, path, directory: stats.isDirectory(), identity: identityOf(stats) };
}

/** Time between two looks at whether the root is still the same. */
const LOOK_MS = 1000;

/**
 * Notices when a root disappears, when something else takes its place, and when a link to it is changed.
 * Watches of the system follow a directory or file wherever it is moved, and do not report such changes of
 * the path.
 */
export class RootWatch {
  readonly #named: string;
  readonly #onChange: () => void;
  readonly #onWarning: ((message: string) => void) | undefined;
  readonly #timer: NodeJS.Timeout;
  /** Undefined while nothing is there. */
  #root: Root | undefined;
  #looking: Promise<void> | undefined;
  #closed = false;

  /** A root as it was when it was read. */
  constructor(root: Root, onChange: () => void, onWarning?: (message: string) => void) {
    this.#named = root.named;
    this.#root = root;
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
    const before = this.#root;
    const now = await rootAt(this.#named).catch(() => undefined);
    if (this.#closed || (now?.identity === before?.identity && now?.path === before?.path)) return;
    this.#root = now;
    if (now === undefined)
      this.#onWarning?.(`${this.#named} has gone; what it had is served again when it is back`);
    else if (before === undefined) this.#onWarning?.(`${this.#named} is back`);
    this.#onChange();
  }
}

/**
 * Identifies a directory or file and its permissions, whatever it holds. The time of birth is in it because
 * inode numbers are used again.
 */
export function identityOf({ dev, ino, birthtimeMs, mode, uid, gid }: Stats): string {
  return [dev, ino, birthtimeMs, mode, uid, gid].join('/');
}
