import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';

/** Time between two looks at whether the root is still the same. */
const LOOK_MS = 1000;

/**
 * Tells of changes below a directory, or of a file, however often it goes and another comes to its place, or a link to it is made to lead elsewhere: what the
 * system tells is about the directory that was there at first, so the place is looked at, too.
 */
export class RootWatch {
  readonly #named: string;
  /** Where that leads; what is watched. */
  #path: string;
  readonly #onChange: () => void;
  readonly #onWarning: ((message: string) => void) | undefined;
  readonly #timer: NodeJS.Timeout;
  #watcher: FSWatcher;
  /** Of what is watched; undefined while nothing is there. */
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
    this.#watcher = this.#watch();
    this.#timer = setInterval(() => this.#lookOnce(() => this.#look()), LOOK_MS).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#looking;
    await this.#watcher.close();
  }

  /** What has changed before the system tells of changes is told of when it does. */
  #watch(): FSWatcher {
    return watch(this.#path, {
      ignoreInitial: true,
      followSymlinks: false,
      ignored: (path) => this.#hidden(path),
    })
      .on('all', this.#onChange)
      .on('ready', this.#onChange)
      .on('error', (error) => this.#onWarning?.(`watching: ${(error as Error).message}`));
  }

  #hidden(path: string): boolean {
    return (
      path.startsWith(this.#path + sep) &&
      relative(this.#path, path)
        .split(sep)
        .some((part) => part.startsWith('.'))
    );
  }

  /** A file system that does not answer is not asked again meanwhile. */
  #lookOnce(look: () => Promise<void>): void {
    this.#looking ??= look().finally(() => {
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
      await this.#watcher.close();
      this.#path = path;
      this.#watcher = this.#watch();
      if (before === undefined) this.#onWarning?.(`${this.#named} is back`);
    }
    this.#onChange();
  }
}

/** Of the directory or file itself, whatever it holds. Numbers of removed ones are given away again, hence the time. */
export function identityOf({ dev, ino, birthtimeMs }: Stats): string {
  return `${dev}/${ino}/${birthtimeMs}`;
}
