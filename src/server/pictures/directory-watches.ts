import { type FSWatcher, watch } from 'node:fs';
import { basename } from 'node:path';

interface Watched {
  /** Of what was at the path when it began: another may have come to its place. */
  readonly identity: string;
  readonly watcher: FSWatcher;
  changed: boolean;
  /** Whether names that begin with a dot count. */
  dots: boolean;
}

/** Of more events than these between two looks the system may have kept some to itself: Linux has room for 16384. */
const FLOOD = 4096;

/**
 * Knows which directories, and single files, have changed: one watch for each path, and none for what lies in a directory, for systems give out few of them:
 * libraries such as chokidar watch each file.
 * Names that begin with a dot do not count, but where links may lead through them.
 */
export class DirectoryWatches {
  readonly #onChange: () => void;
  readonly #onRefused: (code: string) => void;
  readonly #watched = new Map<string, Watched>();
  /** What was said of the paths that this look has asked for: roots may lie in each other. */
  #asked = new Map<string, boolean>();
  #events = 0;
  #flooded = false;

  constructor(options: {
    readonly onChange: () => void;
    /** A path cannot be watched. */
    readonly onRefused: (code: string) => void;
  }) {
    this.#onChange = options.onChange;
    this.#onRefused = options.onRefused;
  }

  /** A look at all paths begins. */
  begin(): void {
    this.#flooded = this.#events > FLOOD;
    this.#events = 0;
    this.#asked = new Map();
  }

  /**
   * Whether what is at a path may have changed since the last look, and has to be read again. From now on, before it is read, it is watched: what changes
   * while it is read is seen at the next look.
   */
  changed(path: string, identity: string): boolean {
    let changed = this.#asked.get(path);
    if (changed !== undefined) return changed;
    const known = this.#watched.get(path);
    if (known?.identity === identity) {
      changed = known.changed || this.#flooded;
      known.changed = false;
    } else {
      this.#forget(path);
      this.#watch(path, identity);
      changed = true;
    }
    this.#asked.set(path, changed);
    return changed;
  }

  /** A look ends: paths that it did not ask for are watched no more. */
  end(): void {
    for (const path of this.#watched.keys()) if (!this.#asked.has(path)) this.#forget(path);
  }

  /** A path has changed, whether or not the system has told of it yet. */
  touch(path: string): void {
    const known = this.#watched.get(path);
    if (known) known.changed = true;
  }

  /** Names that begin with a dot count in this directory from now on. */
  countDots(path: string): void {
    const known = this.#watched.get(path);
    if (known) known.dots = true;
  }

  close(): void {
    this.#asked.clear();
    this.end();
  }

  #watch(path: string, identity: string): void {
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => {
        this.#events++;
        // Its own name is that of what happens to itself.
        if (name?.startsWith('.') && name !== basename(path) && !this.#watched.get(path)?.dots) return;
        this.touch(path);
        this.#onChange();
      });
      watcher.on('error', () => {
        this.#forget(path);
        this.#onChange();
      });
      this.#watched.set(path, { identity, watcher, changed: false, dots: false });
    } catch (error) {
      this.#onRefused((error as NodeJS.ErrnoException).code ?? (error as Error).message);
    }
  }

  #forget(path: string): void {
    this.#watched.get(path)?.watcher.close();
    this.#watched.delete(path);
  }
}
