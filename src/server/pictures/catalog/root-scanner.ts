import { basename, dirname, resolve } from 'node:path';
import { SourceError } from '../../../errors.ts';
import { MAX_ID_LENGTH } from '../picture-id.ts';
import { PLAIN_EXTENSIONS } from '../plain/plain-picture.ts';
import {
  type CatalogEntry,
  type FoundFile,
  type Listing,
  picturesOf,
  readListing,
} from './directory-listing.ts';
import { DirectoryWatches } from './directory-watches.ts';
import { type Root, RootWatch, rootAt } from './root-watch.ts';

export interface ScannerOptions {
  readonly plain: boolean;
  readonly watch: boolean;
  /** Something has changed: time for a scan. */
  readonly onChange: () => void;
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** What a scan has found. */
export interface Scanned {
  readonly pictures: ReadonlyMap<string, CatalogEntry>;
  /** Whether all directories could be read. */
  readonly complete: boolean;
}

const MAX_ENTRIES = 1_000_000;

/** Directories and files by their paths. Rejects with SourceError where one is not there. */
export async function rootsAt(paths: readonly string[]): Promise<Root[]> {
  const roots: Root[] = [];
  for (const path of paths) {
    try {
      roots.push(await rootAt(resolve(path)));
    } catch (cause) {
      throw new SourceError(`${path}: no such file or directory`, { cause });
    }
  }
  return roots;
}

/**
 * Finds the pictures below roots. Left out are files and directories whose names begin with a dot,
 * directories `node_modules`, and links to directories or out of their root.
 */
export class RootScanner {
  readonly #options: ScannerOptions;
  #roots: readonly Root[];
  /** Directories as they were last read, by root and path. */
  #listings: ReadonlyMap<string, Listing> = new Map();
  readonly #watches: DirectoryWatches | undefined;
  #rootWatches: readonly RootWatch[] = [];
  /** Whether the running scan has read all directories so far. */
  #complete = true;
  /**
   * Warnings of the last scan and of the running one: a warning is given once, not at each change of a file.
   */
  #told: ReadonlySet<string> = new Set();
  #warnings = new Set<string>();

  constructor(roots: readonly Root[], options: ScannerOptions) {
    this.#roots = roots;
    this.#options = options;
    this.#watches = options.watch
      ? new DirectoryWatches({ onChange: options.onChange, onRefused: (code) => this.#refused(code) })
      : undefined;
  }

  /** The first directory. */
  get directory(): string | undefined {
    return this.#roots.find(({ directory }) => directory)?.path;
  }

  /** Whether the system reports changes. */
  get watches(): boolean {
    return this.#watches !== undefined;
  }

  /** After the first scan: watches the roots, too. */
  watchRoots(): void {
    const { onChange, onWarning } = this.#options;
    if (this.#watches)
      this.#rootWatches = this.#roots.map((root) => new RootWatch(root, onChange, onWarning));
  }

  /** The next scan reads this directory again, although the system has reported no change of it yet. */
  touch(directory: string): void {
    this.#watches?.touch(directory);
  }

  /** Reads the directories that have changed; without watches, all. */
  async scan(): Promise<Scanned> {
    const pictures = new Map<string, CatalogEntry>();
    const listings = new Map<string, Listing>();
    const roots: Root[] = [];
    this.#warnings = new Set();
    this.#complete = true;
    this.#watches?.begin();
    for (const before of this.#roots) {
      const root = await rootAt(before.named).catch(() => undefined);
      roots.push(root ?? before);
      if (root === undefined) continue; // gone for now
      const { path, identity, directory } = root;
      if (directory) await this.#scanDirectory(path, { path, name: '' }, identity, pictures, listings);
      else {
        this.#watches?.changed(path, identity);
        const { plain } = this.#options;
        const found = await picturesOf([{ path, name: basename(path) }], { root: dirname(path), plain });
        if (found.length === 0) this.#warn(`${before.named}: not served: ${expected(plain)}`);
        this.#add(found, pictures);
      }
    }
    this.#watches?.end();
    this.#roots = roots;
    this.#listings = listings;
    this.#told = this.#warnings;
    return { pictures, complete: this.#complete };
  }

  async close(): Promise<void> {
    await Promise.all(this.#rootWatches.map((watched) => watched.close()));
    this.#watches?.close();
  }

  async #scanDirectory(
    root: string,
    directory: FoundFile,
    identity: string,
    found: Map<string, CatalogEntry>,
    listings: Map<string, Listing>,
  ): Promise<void> {
    const changed = this.#watches?.changed(directory.path, identity) ?? true;
    // A directory below two roots has a listing for each, with other names.
    const key = `${root}\n${directory.path}`;
    const known = this.#listings.get(key);
    const listing = known?.lasting && !changed ? known : await this.#read(root, directory, known);
    listings.set(key, listing);
    // Links may lead through names that begin with a dot.
    if (!listing.lasting) this.#watches?.countDots(directory.path);
    this.#add(listing.pictures, found);
    for (const child of listing.directories)
      await this.#scanDirectory(root, child, child.identity, found, listings);
  }

  /** What a directory holds; while the system cannot read it, what it held when it was last `known`. */
  async #read(root: string, directory: FoundFile, known: Listing | undefined): Promise<Listing> {
    const { plain } = this.#options;
    try {
      return await readListing(directory, { root, plain, onWarning: (message) => this.#warn(message) });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.#warn(`${directory.path} cannot be read now (${code ?? message}); what it had stays`);
      this.#complete = false;
      return { pictures: [], directories: [], ...known, lasting: false };
    }
  }

  #add(pictures: readonly CatalogEntry[], found: Map<string, CatalogEntry>): void {
    for (const picture of pictures) {
      const { id, kind } = picture;
      if (id.length > MAX_ID_LENGTH) {
        this.#warn(`${picture.path}: not served: its id has more than ${MAX_ID_LENGTH} characters`);
        continue;
      }
      const other = found.get(id);
      if (other) this.#warn(`two pictures have the id ${id}; one of them is not served`);
      if (other ? kind === 'liif' && other.kind !== 'liif' : found.size < MAX_ENTRIES) found.set(id, picture);
    }
  }

  /** Every scan reads the directories that cannot be watched. */
  #refused(code: string): void {
    // If the directory is gone or forbidden, reading it gives the warning.
    if (code === 'ENOENT' || code === 'EACCES' || code === 'EPERM') return;
    this.#warn(
      `the system lets no more directories be watched (${code}): changes in the others are noticed when something else changes; bounds of Linux are in fs.inotify`,
    );
  }

  #warn(message: string): void {
    if (!this.#told.has(message) && !this.#warnings.has(message)) this.#options.onWarning?.(message);
    this.#warnings.add(message);
  }
}

/** What a file has to be, to be served. */
function expected(plain: boolean): string {
  const images = plain ? `, or an image that ends with .${PLAIN_EXTENSIONS.join(', .')}` : '';
  return `expected a directory, or a file that ends with .liif${images}`;
}
