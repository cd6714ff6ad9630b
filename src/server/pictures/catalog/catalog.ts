import { basename, dirname, extname, resolve } from 'node:path';
import { SourceError } from '../../../errors.ts';
import { MAX_ID_LENGTH, type PictureId } from '../picture-id.ts';
import { PLAIN_EXTENSIONS } from '../plain/plain-picture.ts';
import {
  type CatalogEntry,
  type FoundFile,
  folded,
  type Listing,
  picturesOf,
  readListing,
} from './directory-listing.ts';
import { DirectoryWatches } from './directory-watches.ts';
import { compareInOrder } from './natural-order.ts';
import { type Root, RootWatch, rootAt } from './root-watch.ts';

export interface CatalogOptions {
  /** Directories and files. */
  readonly roots: readonly string[];
  readonly plain: boolean;
  readonly watch: boolean;
  readonly onWarning?: (message: string) => void;
  readonly onChange?: (pictures: number) => void;
}

const MAX_ENTRIES = 1_000_000;
/** A look begins this long after the last of several events. */
const SETTLE_MS = 150;
/** And at most this long after the first of them: a directory may be filled for minutes. */
const LONGEST_SETTLE_MS = 1000;
/** Between two looks passes at least so many times the duration of the first. */
const REST = 4;
/** A look that could not read everything is repeated after this time. */
const RETRY_MS = 1000;

/**
 * The pictures that may be served. A request finds its picture here by name, so no text of a client ever
 * reaches the file system. Left out are files and directories whose names begin with a dot, directories
 * `node_modules`, and links to directories or out of their root.
 */
export class Catalog {
  readonly #options: CatalogOptions;
  #roots: readonly Root[];
  #entries: ReadonlyMap<string, CatalogEntry> = new Map();
  #list: readonly CatalogEntry[] = [];
  /** Directories as they were last read, by root and path. */
  #listings: ReadonlyMap<string, Listing> = new Map();
  /**
   * Plain images, by the id of the .liif beside them that has the same name: perhaps it was made from them.
   */
  #originals: ReadonlyMap<string, CatalogEntry> = new Map();
  #rootWatches: readonly RootWatch[] = [];
  readonly #watches: DirectoryWatches | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Latest time of the scan that pending events wait for. */
  #due: number | undefined;
  /** Earliest time of the next scan that events cause. */
  #rested = 0;
  #scanning: Promise<void> | undefined;
  /** The scan after the running one. */
  #next: Promise<void> | undefined;
  /** Whether events came during a scan, which may have passed their places before. */
  #missed = false;
  /** Whether the last scan failed to read a directory. */
  #incomplete = false;
  #closed = false;
  /**
   * Warnings of the last scan and of the running one: a warning is given once, not at each change of a file.
   */
  #told: ReadonlySet<string> = new Set();
  #warnings = new Set<string>();

  private constructor(options: CatalogOptions, roots: readonly Root[]) {
    this.#options = options;
    this.#roots = roots;
    this.#watches = options.watch
      ? new DirectoryWatches({
          onChange: () => this.#noticed(),
          onRefused: (code) => this.#refused(code),
        })
      : undefined;
  }

  /** Scans the roots. Rejects with SourceError where one is not there. */
  static async open(options: CatalogOptions): Promise<Catalog> {
    const roots: Root[] = [];
    for (const root of options.roots) {
      try {
        roots.push(await rootAt(resolve(root)));
      } catch (cause) {
        throw new SourceError(`${root}: no such file or directory`, { cause });
      }
    }
    const catalog = new Catalog(options, roots);
    await catalog.rescan();
    // The first scan looks at all files: the next ones are faster.
    catalog.#rested = 0;
    if (catalog.#timer) catalog.#noticed();
    if (options.watch)
      catalog.#rootWatches = roots.map(
        (root) => new RootWatch(root, () => catalog.#noticed(), options.onWarning),
      );
    return catalog;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Pictures in natural order of their ids: all, or those with `part` in their id or title, in any case. */
  list(part = ''): readonly CatalogEntry[] {
    if (part === '') return this.#list;
    const wanted = folded(part);
    return this.#list.filter(({ searched }) => searched.includes(wanted));
  }

  /** How many of these have an original, as `originalOf` finds it. */
  originalsIn(entries: readonly CatalogEntry[]): number {
    if (entries === this.#list) return this.#originals.size;
    return entries.filter(({ id }) => this.#originals.has(id)).length;
  }

  /** The first directory, where uploads go. */
  get directory(): string | undefined {
    return this.#roots.find(({ directory }) => directory)?.path;
  }

  get(name: string): CatalogEntry | undefined {
    return this.#entries.get(name);
  }

  /** The picture of an id and the factor of its virtual canvas. A picture of the whole name goes first. */
  find(id: PictureId): { readonly entry: CatalogEntry; readonly factor: number } | undefined {
    const whole = this.#entries.get(id.name);
    if (whole) return { entry: whole, factor: 1 };
    const entry = id.canvas && this.#entries.get(id.canvas.name);
    return entry && { entry, factor: id.canvas!.factor };
  }

  /** The plain image beside a .liif that has its name: perhaps what it was made from. */
  originalOf(entry: CatalogEntry): CatalogEntry | undefined {
    return this.#originals.get(entry.id);
  }

  /**
   * Scans the roots again: with watches only `directory` and the directories that have changed, without
   * watches everything. A running scan may have passed what has changed, so a call during it waits for one
   * more scan, which all such calls share.
   */
  rescan(directory?: string): Promise<void> {
    if (directory !== undefined) this.#watches?.touch(directory);
    this.#next ??= (this.#scanning ?? Promise.resolve())
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        this.#scanning = this.#closed ? Promise.resolve() : this.#scan();
        return this.#scanning;
      });
    return this.#next;
  }

  /**
   * To be called where a picture is not at its path any more. Scans soon: network file systems, and links
   * above the file, change without an event.
   */
  missing({ path }: CatalogEntry): void {
    if (!this.#watches) return;
    this.#watches.touch(dirname(path));
    this.#noticed();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await Promise.all(this.#rootWatches.map((watched) => watched.close()));
    await (this.#next ?? this.#scanning)?.catch(() => {});
    this.#watches?.close();
  }

  /** Scans the roots soon. */
  #noticed(): void {
    if (this.#closed) return;
    if (this.#scanning) {
      this.#missed = true;
      return;
    }
    const now = performance.now();
    this.#due ??= now + LONGEST_SETTLE_MS;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#due = undefined;
        this.rescan().catch((error: Error) => this.#options.onWarning?.(error.message));
      },
      Math.max(Math.min(now + SETTLE_MS, this.#due), this.#rested) - now,
    );
  }

  async #scan(): Promise<void> {
    const begun = performance.now();
    try {
      await this.#scanRoots();
    } finally {
      const now = performance.now();
      this.#rested = now + Math.max(REST * (now - begun), this.#incomplete ? RETRY_MS : 0);
      this.#scanning = undefined;
      if (this.#missed || this.#incomplete) this.#noticed();
      this.#missed = false;
    }
  }

  async #scanRoots(): Promise<void> {
    const found = new Map<string, CatalogEntry>();
    const listings = new Map<string, Listing>();
    const roots: Root[] = [];
    this.#warnings = new Set();
    this.#incomplete = false;
    this.#watches?.begin();
    for (const before of this.#roots) {
      const root = await rootAt(before.named).catch(() => undefined);
      roots.push(root ?? before);
      if (root === undefined) continue; // gone for now
      const { path, identity, directory } = root;
      if (directory) await this.#scanDirectory(path, { path, name: '' }, identity, found, listings);
      else {
        this.#watches?.changed(path, identity);
        const { plain } = this.#options;
        this.#add(await picturesOf([{ path, name: basename(path) }], { root: dirname(path), plain }), found);
      }
    }
    this.#watches?.end();
    this.#roots = roots;
    this.#listings = listings;
    this.#told = this.#warnings;
    this.#entries = found;
    this.#list = [...found.values()].sort(compareInOrder);
    this.#originals = this.#findOriginals();
    this.#options.onChange?.(this.#entries.size);
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
      this.#incomplete = true;
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

  #findOriginals(): ReadonlyMap<string, CatalogEntry> {
    const originals = new Map<string, CatalogEntry>();
    const rank = ({ id }: CatalogEntry) => PLAIN_EXTENSIONS.indexOf(extname(id).slice(1));
    for (const entry of this.#entries.values()) {
      if (entry.kind !== 'image' || rank(entry) < 0) continue;
      const picture = entry.id.slice(0, -extname(entry.id).length);
      if (this.#entries.get(picture)?.kind !== 'liif') continue;
      const other = originals.get(picture);
      if (other === undefined || rank(entry) < rank(other)) originals.set(picture, entry);
    }
    return originals;
  }
}
