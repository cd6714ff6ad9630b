import { type FSWatcher, watch } from 'node:fs';
import { basename } from 'node:path';

interface Watched {
  /** Of what was at the path when the watch began: something else may have taken its place. */
  readonly identity: string;
  readonly watcher: FSWatcher;
  changed: boolean;
  /** Whether names that begin with a dot count. */
  dots: boolean;
}

/** After more events than this between two looks, some may have been lost: Linux queues 16384. */
const FLOOD = 4096;

/**
 * Knows which directories and single files have changed. Each directory has one watch, and the files in it
 * have none: systems give out few watches, and libraries such as chokidar take one for each file. Names that
 * begin with a dot do not count, except where links may lead through them (`countDots`).
 */
export class DirectoryWatches {
  readonly #onChange: () => void;
  readonly #onRefused: (code: string) => void;
  readonly #watched = new Map<string, Watched>();
  /** Answers of `changed` during this look: a path below two roots is asked for twice. */
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
   * Whether a path may have changed since the last look and has to be read again. The watch begins now,
   * before the caller reads: the next look sees what changes during the reading.
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

  /** A look ends. Paths that it did not ask for lose their watch. */
  end(): void {
    for (const path of this.#watched.keys()) if (!this.#asked.has(path)) this.#forget(path);
  }

  /** Marks a path as changed, although the system has not reported it yet. */
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
        // Events of the directory itself have its own name, which may begin with a dot.
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
